# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which backend suits a device, a network made ready for it, and its stages."""

import torch

from lvs_ros.backends import eager
from lvs_ros.backends.cpu.library import has_amx
from lvs_ros.backends.cpu.prepare import prepare as prepare_for_cpu
from lvs_ros.backends.cuda.graphs import CudaRecorder
from lvs_ros.backends.cuda.prepare import prepare as prepare_for_cuda
from lvs_ros.backends.graphs.stages import GraphStages
from lvs_ros.backends.network_stages import NetworkStages
from lvs_ros.backends.stages import Propagation, Stages
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import SegmentationNetwork
from lvs_ros.model.finite import check_network

PRECISIONS = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """Return the torch device; 'auto' prefers a GPU.

    :raises ConfigurationError: when it cannot be used on this machine.
    """
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split('\n')[0]
        raise ConfigurationError(f'device {name!r} cannot be used ({reason}): expected "auto", '
                                 '"cpu", or "cuda:N" with a CUDA build of torch') from error


def choose_precision(name: str, device: torch.device) -> str:
    """Return one of :data:`PRECISIONS`: for 'auto' what the device is best at."""
    if name == 'auto':
        if device.type == 'cpu':
            return 'bfloat16' if has_amx() else 'float32'
        return 'float16'
    return name


def prepare(network: SegmentationNetwork, *, device: torch.device, precision: str
            ) -> SegmentationNetwork:
    """Make a loaded network ready for inference: folded, on its device, channels last.

    In bfloat16, a CPU with AMX rounds what convolutions multiply; features stay float32.

    :param precision: 'auto', or one of :data:`PRECISIONS`
    :raises ModelFileError: when its output on an ordinary image is not finite.
    """
    dtype = PRECISIONS[choose_precision(precision, device)]
    if device.type == 'cpu':
        prepare_for_cpu(network, dtype)
    else:
        prepare = prepare_for_cuda if device.type == 'cuda' else eager.prepare
        prepare(network, device, dtype)
    check_network(network)
    return network


def stages_of(network: SegmentationNetwork, propagation: Propagation) -> Stages:
    """Return the stages of a network that :func:`prepare` has made ready."""
    if network.device.type == 'cuda':
        return GraphStages(network, propagation, CudaRecorder())
    return NetworkStages(network, propagation)
