# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A residual block in one pass: bit for bit what its two convolutions compute."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lvs_ros.model.compiling import BFLOAT16, FLOAT32, use_compiled_convolutions
from lvs_ros.model.folding import fold_batch_norm
from lvs_ros.model.resnet import BasicBlock, Bottleneck
from lvs_ros.model.steps import finish
from lvs_ros.model.tile_block import TileBlock
from lvs_ros.model.tile_convolution import TileConvolution
from lvs_ros.native.library import has_tiles

pytestmark = pytest.mark.skipif(
    not has_tiles(), reason='this processor does not multiply tiles of bfloat16')


def block_of(channels: int, *, channels_in: int = 0, stride: int = 1,
             dilations: tuple[int, int] = (1, 1), folded: bool = True) -> BasicBlock:
    torch.manual_seed(0)
    block = BasicBlock(channels_in or channels, channels, stride=stride, dilations=dilations)
    block.eval().requires_grad_(False)
    if folded:
        fold_batch_norm(block)
    return block


def in_two(block: BasicBlock, x: torch.Tensor) -> torch.Tensor:
    """Compute it by the operators of test_tile_convolution.py."""
    first, second = TileConvolution(block.conv1), TileConvolution(block.conv2)
    between = finish(first.steps(x, relu=True))
    return finish(second.steps(between, added=x, relu=True))


@settings(deadline=None, max_examples=80)
@given(channels=st.integers(1, 70), height=st.integers(1, 40), width=st.integers(1, 70),
       batch=st.integers(1, 2), parts=st.integers(1, 9), threads=st.integers(1, 3))
def test_it_is_what_two_convolutions_compute(
        channels: int, height: int, width: int, batch: int, parts: int, threads: int) -> None:
    block = block_of(channels)
    compiled, x = TileBlock(block), torch.randn(batch, channels, height, width)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        steps = compiled.steps(x, 2 * 9 * channels ** 2 / parts)
        assert torch.equal(finish(steps), in_two(block, x))
        assert torch.equal(compiled(x), in_two(block, x))
        assert len(list(compiled.steps(x, 2 * 9 * channels ** 2 / parts))) < parts * batch
    finally:
        torch.set_num_threads(before)


def test_what_is_not_a_number_stays_so() -> None:
    x = torch.zeros(1, 8, 12, 12)
    x[0, 0, 0, 0] = math.nan
    result = TileBlock(block_of(8))(x)
    assert result[0, :, 0, 0].isnan().all() and not result[0, :, 8:, 8:].isnan().any()


@pytest.mark.parametrize('x', [torch.zeros(1, 7, 9, 9), torch.zeros(1, 8, 9, 9).double()])
def test_what_does_not_fit_is_refused(x: torch.Tensor) -> None:
    with pytest.raises(ValueError, match='expected'):
        TileBlock(block_of(8))(x)


@pytest.mark.parametrize('block, is_one', [
    (block_of(16), True), (block_of(16, stride=2), False), (block_of(16, channels_in=8), False),
    (block_of(16, dilations=(2, 2)), False), (block_of(16, folded=False), False),
    (Bottleneck(32, 8, stride=1, dilations=(1, 1)), False)])
def test_which_blocks_are_replaced(block: nn.Module, is_one: bool) -> None:
    block.requires_grad_(False)
    module = nn.Sequential(block)
    use_compiled_convolutions(module, FLOAT32)
    assert module[0] is block
    module = nn.Sequential(block_of(16) if is_one else block)
    use_compiled_convolutions(module, BFLOAT16)
    assert isinstance(module[0], TileBlock) is is_one
