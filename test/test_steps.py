# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""S_h in steps: small ones, and the same result."""

import math
import threading

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lvs_ros.backends.folding import fold_batch_norm
from lvs_ros.model import VARIANTS, SegmentationNetwork
from lvs_ros.model.convolution import convolve
from lvs_ros.model.steps import Steps, advance, finish


def network_of(variant: str) -> SegmentationNetwork:
    torch.manual_seed(0)
    network = SegmentationNetwork(VARIANTS[variant]('camvid', 11)).eval()
    fold_batch_norm(network)
    return network


@pytest.mark.parametrize('variant', ['tiny', 'lite'])
def test_steps_give_what_the_layers_give(variant: str) -> None:
    network = network_of(variant)
    low = torch.rand(1, network.backbone.low_channels, 9, 12)
    with torch.no_grad():
        expected = low
        for block in network.backbone.high_blocks():
            expected = block(expected)
        expected = network.head(expected)
        torch.testing.assert_close(network.high(low), expected, rtol=1e-5, atol=1e-6)


def test_steps_run_in_any_thread() -> None:
    network = network_of('tiny')
    low = torch.rand(1, network.backbone.low_channels, 9, 12)
    steps, results = network.high_steps(low), []

    def step() -> None:
        with torch.inference_mode():
            results.append(advance(steps))

    while not results or results[-1] is None:
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    with torch.inference_mode():
        assert torch.equal(results[-1], network.high(low))


@pytest.mark.parametrize('variant', ['lite', 'paper'])
def test_no_step_has_more_than_a_twelfth_of_the_work(variant: str) -> None:
    network = network_of(variant)
    steps = network.high_steps(torch.rand(1, network.backbone.low_channels, 8, 8))
    work, result = [], None
    with torch.no_grad():
        while result is None:
            with FlopCounterMode(display=False) as counter:
                result = advance(steps)
            work.append(counter.get_total_flops())
    assert max(work) <= sum(work) / 12
    assert len(work) < 150    # each costs a little of its own


@pytest.mark.parametrize('largest', [1, 300, 1000, math.inf])
@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('stride, dilation', [(1, 1), (2, 1), (1, 3)])
def test_a_convolution_in_parts_is_the_convolution(
        largest: float, bias: bool, stride: int, dilation: int) -> None:
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(5, 37, 3, stride, dilation, dilation, bias=bias)
    x = torch.rand(2, 5, 11, 8)
    with torch.no_grad():
        torch.testing.assert_close(finish(convolve(convolution, x, largest)), convolution(x))


@pytest.mark.parametrize('largest, expected', [(math.inf, 1), (32 * 36, 1), (32 * 18, 2),
                                               (32 * 9, 4), (1, 4)])
def test_number_of_parts(largest: float, expected: int) -> None:
    convolution = torch.nn.Conv2d(4, 32, 3)    # 32 channels of 36 weights, in eights
    steps = convolve(convolution, torch.rand(1, 4, 5, 5), largest)
    assert 1 + len(list(steps)) == expected


def test_an_error_comes_out_of_its_step() -> None:
    def broken() -> Steps:
        yield
        raise RuntimeError('out of memory')

    steps = broken()
    assert advance(steps) is None
    with pytest.raises(RuntimeError, match='out of memory'):
        finish(steps)
