# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The computer: what it is, how busy it was, and the memory that was needed."""

import dataclasses
import pathlib
import resource
from typing import Optional

import psutil
import torch

from lvs_ros.cpus import available_cpus
from lvs_ros.evaluation.evaluation import machine_name
from lvs_ros.model import SegmentationNetwork

_PROC = pathlib.Path('/proc/self')
_RESET_PEAK = '5'    # see proc(5), clear_refs


@dataclasses.dataclass(frozen=True)
class Memory:
    """What the tracks needed.

    :param peak_rss_bytes: the process at its largest, Python and torch included
    :param peak_device_bytes: tensors on the GPU at their most; None on a CPU
    :param weights_bytes: of the network as it runs
    """

    peak_rss_bytes: int
    peak_device_bytes: Optional[int]
    weights_bytes: int


class PeakMemory:
    """Peaks from now on.

    Where the system cannot begin anew, the process's peak is that from its start.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        try:
            (_PROC / 'clear_refs').write_text(_RESET_PEAK)
        except OSError:
            pass
        if device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(device)

    def rss_bytes(self) -> int:
        """The process at its largest."""
        try:
            for line in (_PROC / 'status').read_text().splitlines():
                if line.startswith('VmHWM:'):
                    return int(line.split()[1]) * 1024
        except OSError:
            pass
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def device_bytes(self) -> Optional[int]:
        """Tensors on the GPU at their most."""
        if self._device.type != 'cuda':
            return None
        return torch.cuda.max_memory_allocated(self._device)


def weights_bytes(network: SegmentationNetwork) -> int:
    """Bytes of all parameters and buffers."""
    return sum(tensor.nbytes for tensors in (network.parameters(), network.buffers())
               for tensor in tensors)


def describe_device(device: str) -> str:
    """Name the processor with its cores, or the GPU.

    :param device: as torch names it
    """
    name = machine_name(device)
    if device.startswith('cuda'):
        return name
    return f'{name}, 1 core' if available_cpus() == 1 else f'{name}, {available_cpus()} cores'


def cores_in_use(seconds: float = 0.5) -> float:
    """Return how many cores other programs use at this moment."""
    share = psutil.cpu_percent(seconds) / 100
    return share * (psutil.cpu_count() or 1)
