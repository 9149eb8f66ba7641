# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in S_h: often enough, and without an effect on the result."""

import copy
import math
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lvs_ros.backends import eager
from lvs_ros.backends.cpu import library
from lvs_ros.backends.cpu.prepare import prepare
from lvs_ros.checkpoints import checkpoint, checkpoints, is_interruptible
from lvs_ros.model import VARIANTS, SegmentationNetwork
from native_levels import needs_kernels

CPU = torch.device('cpu')


def network_of(variant: str, *, native: bool) -> SegmentationNetwork:
    torch.manual_seed(0)
    network = SegmentationNetwork(VARIANTS[variant]('camvid', 11))
    if native:
        prepare(network, torch.float32)
    else:
        eager.prepare(network, CPU, torch.float32)
    return network


BACKENDS = [False, pytest.param(True, marks=needs_kernels)]


@pytest.mark.parametrize('native', BACKENDS)
@pytest.mark.parametrize('variant', ['tiny', 'lite'])
@torch.inference_mode()
def test_what_is_interrupted_computes_the_same(variant: str, native: bool) -> None:
    network = network_of(variant, native=native)
    image = torch.randint(0, 256, (1, 3, 88, 104), dtype=torch.uint8)
    low = network.low(image)
    high, others = network.high(low), []
    refined = network.refine(high, image)
    count = 0

    def compute_a_frame() -> None:
        nonlocal count
        count += 1
        if count % 20 == 0:
            with checkpoints(None):
                others.append(network.low(image))

    with checkpoints(compute_a_frame):
        assert torch.equal(network.high(low), high)
        assert torch.equal(network.refine(high, image), refined)
    assert others and all(torch.equal(other, low) for other in others)


@pytest.mark.parametrize('native', BACKENDS)
@torch.inference_mode()
def test_an_exception_at_a_checkpoint_ends_the_computation(native: bool) -> None:
    network = network_of('tiny', native=native)
    low = network.low(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))

    def cancel() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), checkpoints(cancel):
        network.high(low)
    assert not is_interruptible()
    network.high(low)


@pytest.mark.parametrize('variant', ['lite', 'paper'])
@torch.inference_mode()
def test_torch_calls_one_before_every_convolution(variant: str) -> None:
    network = network_of(variant, native=False)
    low = torch.rand(1, network.backbone.low_channels, 8, 8)
    work = []

    def count() -> None:
        work.append(counter.get_total_flops())

    with FlopCounterMode(display=False) as counter, checkpoints(count):
        network.high(low)
    convolutions = [module for part in (*network.backbone.high_blocks(), network.head)
                    for module in part.modules() if isinstance(module, nn.Conv2d)]
    pieces = [after - before for before, after in zip(work, [*work[1:],
                                                             counter.get_total_flops()])]
    assert sum(piece > 0 for piece in pieces) == len(convolutions) and work[0] == 0


@torch.inference_mode()
def test_a_network_with_hooks_can_be_copied() -> None:
    network = network_of('tiny', native=False)
    low = network.low(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        calls: list[int] = []
        with checkpoints(lambda: calls.append(1)):
            other.high(low)
        assert calls


class Counting:
    """The native kernels; adds up the multiply-accumulates of convolutions."""

    def __init__(self, kernels: Any) -> None:
        self._kernels, self.work = kernels, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    def lvs_winograd(self, *arguments: Any) -> None:
        height, width, channels_in, channels_out, dilation, _, first, last, _ = arguments[5:]
        blocks = self._kernels.lvs_winograd_blocks(height, width, dilation)
        self.work += (last - first) / blocks * height * width * channels_in * channels_out * 2.25
        self._kernels.lvs_winograd(*arguments)

    def lvs_convolution(self, *arguments: Any) -> None:
        _, width, channels_in, channels_out, kernel, stride, _, _, _, first, last, _ = \
            arguments[5:]
        self.work += ((last - first) * math.ceil(width / stride) * kernel ** 2 * channels_in
                      * channels_out)
        self._kernels.lvs_convolution(*arguments)


@needs_kernels
@torch.inference_mode()
def test_no_piece_of_s_h_has_much_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    level, kernels = library.choose()
    if level == 'amx':
        pytest.skip('its kernels are not counted')
    counting = Counting(kernels)
    monkeypatch.setattr(library, 'choose', lambda: (level, counting))
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 2)    # a piece is whole units of each
    network = network_of('lite', native=True)
    low = network.low(torch.zeros(1, 3, 360, 480, dtype=torch.uint8))
    counting.work, at = 0.0, []
    with checkpoints(lambda: at.append(counting.work)):
        network.high(low)
    pieces = [after - before for before, after in zip(at, [*at[1:], counting.work])]
    assert max(pieces) <= sum(pieces) / 60
    assert 80 <= len(pieces) < 300    # each costs a little of its own
    at.clear()
    checkpoint()    # of nobody
    network.high(low)
    assert not at
