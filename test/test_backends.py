# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whole networks on every backend that runs here: torch in float64 tells what comes out."""

import copy
import dataclasses
import gc
import pathlib
from typing import Optional

import pytest
import torch
from torch import nn

import lvs_ros
from lvs_ros.backends import eager
from lvs_ros.backends.cpu import library
from lvs_ros.backends.cpu.buffers import BufferPool
from lvs_ros.backends.cpu.prepare import prepare
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import VARIANTS, SegmentationNetwork
from native_levels import forced, needs_kernels
from random_networks import random_network

CPU = torch.device('cpu')
SIZE = 43, 61    # of the images; not a multiple of anything
TINY = VARIANTS['tiny']('camvid', 11)
# Every kind of stem, block, head; channels that are no multiple of 8; both alignments of corners.
CONFIGS = {
    'lite': VARIANTS['lite']('camvid', 11),
    'bottleneck': dataclasses.replace(TINY, backbone='resnet50', stem='conv3', head='psp',
                                      embed_channels=12, align_corners=True, detail_channels=8),
    'odd': dataclasses.replace(TINY, base_width=12, stem='conv3_wide', head='fcn',
                               head_channels=20, adapt_channels=9, deviation_stride=1,
                               detail_channels=12)}


def outputs_of(network: SegmentationNetwork, dtype: Optional[torch.dtype] = None
               ) -> dict[str, torch.Tensor]:
    """Return what a network computes of two frames, the first of which is the key frame."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, 1, 3, *SIZE), generator=generator, dtype=torch.uint8)
    first, second = images if dtype is None else images.to(dtype)
    key_low, (low, detail) = network.low(first), network.low_and_detail(second)
    high = network.high(key_low)
    refined = network.refine(high, first)
    displacement = torch.rand(1, 2, *low.shape[2:], generator=generator) * 3
    moved = network.propagate(network.embed(key_low), network.embed(low), refined,
                              displacement.to(low.dtype))
    adapted = network.adapt(low, moved)
    logits = network.logits(adapted, detail)
    mask, _ = network.label_map(logits, (90, 120), SIZE)
    return {'low': low, 'high': high, 'refined': refined, 'moved': moved, 'adapted': adapted,
            'logits': logits, 'deviation': network.deviation(key_low, low), 'mask': mask}


@needs_kernels
@pytest.mark.parametrize('name', CONFIGS)
@torch.inference_mode()
def test_a_network_computes_the_same_on_every_backend(name: str) -> None:
    network = random_network(CONFIGS[name])
    expected = outputs_of(copy.deepcopy(network).double(), torch.float64)
    for level in ('none', *library.supported_levels()):
        with forced(level):
            prepared = copy.deepcopy(network)
            prepare(prepared, torch.float32)
            found = outputs_of(prepared)
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            if key == 'mask':
                assert (found[key] != values).double().mean() < 0.005, (level, key)
            else:
                assert found[key].dtype == torch.float32
                error = (found[key] - values).abs().max()
                assert error <= 1e-4 * (1e-3 + values.abs().max()), (level, key)


@needs_kernels
def test_native_kernels_compute_all_convolutions_and_stems() -> None:
    network = random_network(CONFIGS['lite'])
    prepare(network, torch.float32)
    assert not any(isinstance(module, nn.Conv2d) for module in network.modules())
    image = torch.randint(0, 256, (1, 3, 40, 56), dtype=torch.uint8)
    assert torch.equal(network.low(image), network.low(image.float()))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_what_the_kernels_cannot_read_is_left_to_torch(dtype: torch.dtype) -> None:
    network = random_network(TINY)
    with forced('none'):
        prepare(network, dtype)
    assert network.low(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).dtype == dtype


@torch.inference_mode()
def test_eager_reads_bytes_and_floats_alike() -> None:
    network = random_network(TINY)
    eager.prepare(network, CPU, torch.float32)
    image = torch.randint(0, 256, (1, 3, 45, 61), dtype=torch.uint8)
    torch.testing.assert_close(network.low(image), network.low(image.float()))


@needs_kernels
@torch.inference_mode()
def test_frames_make_no_new_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = BufferPool()
    monkeypatch.setattr('lvs_ros.backends.cpu.buffers.empty', pool.empty)
    network = random_network(TINY)
    prepare(network, torch.float32)
    image = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    key_low, kept = network.low(image), list[torch.Tensor]()
    made = 0
    for number in range(200):
        low = network.low(image)
        kept = [*kept[-3:], network.adapt(low, network.propagate(
            network.embed(key_low), network.embed(low), network.high(low)))]
        if number == 20:
            made = pool.made
    assert pool.made == made > 10
    del low, key_low, kept
    gc.collect()
    assert pool.free_bytes() > 0


@pytest.mark.parametrize('level', ['avx3', 'AVX2', '0', '1'])
def test_an_unknown_level_is_refused(level: str) -> None:
    with forced(level), pytest.raises(ConfigurationError, match=f"'{level}': expected none, or"):
        library.kernels()


def test_a_level_that_the_processor_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: 'AVX2')
    monkeypatch.setattr('platform.machine', lambda: 'x86_64')
    with forced('avx512'), pytest.raises(ConfigurationError, match="'avx512': .*, avx2, generic"):
        library.kernels()


@pytest.mark.parametrize('content', [None, 'not a library'])
def test_kernels_that_were_not_built_or_are_broken(
        monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, content: Optional[str],
        recwarn: pytest.WarningsRecorder) -> None:
    if content is not None:
        for level in library.LEVELS:
            path = tmp_path / 'backends/cpu/lib' / level / 'liblvs_kernels.so'
            path.parent.mkdir(parents=True)
            path.write_text(content)
    monkeypatch.setattr(lvs_ros, '__path__', [str(tmp_path)])
    best = library.supported_levels()[0]
    with forced(best), pytest.raises(ConfigurationError, match=f"'{best}'.*build lvs_ros again"):
        library.kernels()
    with forced(''):
        assert library.kernels() is None and not library.has_amx()
        network = random_network(TINY)
        prepare(network, torch.float32)
        assert 'native kernels: torch in place of them' in network.fallbacks[0]
    told = ['Build lvs_ros again' in str(warning.message) for warning in recwarn]
    assert all(told) and any(told) is (content is not None)


def test_none_leaves_the_kernels_out() -> None:
    network = random_network(TINY)
    with forced('none'):
        assert library.kernels() is None
        prepare(network, torch.float32)
    assert network.fallbacks == []    # as was asked for
