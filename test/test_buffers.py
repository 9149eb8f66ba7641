# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Memory that is used again: never by two at a time, and by the next one when it is free."""

import random
import threading
from concurrent import futures

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lvs_ros.backends.cpu.buffers import BufferPool


@pytest.fixture
def pool() -> BufferPool:
    return BufferPool()


def test_it_is_float32_with_channels_last(pool: BufferPool) -> None:
    x = pool.empty(2, 8, 5, 3)
    assert x.shape == (2, 8, 5, 3) and x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([(8, 4, 6), (6, 4, 8), (16, 4, 3)]),
                          st.integers(0, 3)), max_size=40))
def test_who_lives_keeps_its_values(requests: list[tuple[tuple[int, int, int], int]]) -> None:
    pool = BufferPool()
    living: dict[int, tuple[float, torch.Tensor]] = {}
    for number, (shape, slot) in enumerate(requests):
        living.pop(slot, None)
        x = pool.empty(1, *shape).fill_(number)
        living[slot] = number, x[:, 2:].permute(0, 2, 3, 1)    # a view keeps it, too
        del x
        for value, view in living.values():
            assert (view == value).all()
    assert pool.made <= 6    # four live, one is new, and "view" is one more


def test_what_nobody_uses_is_used_again(pool: BufferPool) -> None:
    first = pool.empty(1, 8, 4, 6)
    second = pool.empty(1, 8, 4, 6)
    address = first.data_ptr()
    view = first[0, 0]
    del first
    assert pool.empty(1, 8, 4, 6).data_ptr() not in (address, second.data_ptr())
    del view
    found = [pool.empty(1, 4, 6, 8) for _ in range(2)]    # of another shape, as large
    assert address in [x.data_ptr() for x in found] and pool.made == 3


@pytest.mark.parametrize('reference', ['numpy', 'list', 'storage'])
def test_every_kind_of_reference_keeps_it(pool: BufferPool, reference: str) -> None:
    x = pool.empty(1, 8, 4, 6)
    kept = {'numpy': x.numpy(), 'list': [x], 'storage': x.untyped_storage()}[reference]
    address = x.data_ptr()
    del x
    others = [pool.empty(1, 8, 4, 6) for _ in range(3)]
    assert address not in [other.data_ptr() for other in others]
    del kept


def test_blocks_stay_as_many_over_thousands_of_frames(pool: BufferPool) -> None:
    choice, kept = random.Random(0), list[torch.Tensor]()
    for _ in range(5000):
        features = [pool.empty(1, 8, 2 + size, 4) for size in range(6)]
        kept = [*kept[-4:], choice.choice(features)]    # some outlive the frame
        del features
    assert pool.made <= 6 * (5 + 1)    # of each size, all that are kept and one more


def test_threads_use_one_pool_at_once(pool: BufferPool) -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> bool:
        barrier.wait()
        rights = []
        for round_ in range(500):
            xs = [pool.empty(1, 8, 3, 3).fill_(number * 1000 + round_) for _ in range(3)]
            rights += [bool((x == number * 1000 + round_).all()) for x in xs]
        return all(rights)

    with futures.ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(4)))
    assert pool.made <= 4 * 7    # three old, three new, one in hand


def test_of_many_sizes_only_what_is_used_stays() -> None:
    pool = BufferPool(most_bytes=1000)
    used = pool.empty(1, 8, 4, 6).fill_(7)
    for height in range(1, 20):
        pool.empty(1, 8, height, 2)
    assert pool.free_bytes() <= 1000 + 4 * 8 * 19 * 2
    assert (used == 7).all()
