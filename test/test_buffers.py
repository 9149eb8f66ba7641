# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Memory that is used again: never by two at a time, and by the next one when it is free."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lvs_ros.native import buffers


@pytest.fixture(autouse=True)
def new_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, '_BUFFERS', buffers._Buffers())


def test_it_is_float32_with_channels_last() -> None:
    x = buffers.empty(2, 8, 5, 3)
    assert x.shape == (2, 8, 5, 3) and x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([(8, 4, 6), (6, 4, 8), (16, 4, 3)]),
                          st.integers(0, 3)), max_size=40))
def test_who_lives_keeps_its_values(requests: list[tuple[tuple[int, int, int], int]]) -> None:
    living: dict[int, tuple[float, torch.Tensor]] = {}
    for number, (shape, slot) in enumerate(requests):
        living.pop(slot, None)
        x = buffers.empty(1, *shape).fill_(number)
        living[slot] = number, x[:, 2:].permute(0, 2, 3, 1)    # a view keeps it, too
        del x
        for value, view in living.values():
            assert (view == value).all()


def test_what_nobody_uses_is_used_again() -> None:
    first = buffers.empty(1, 8, 4, 6)
    second = buffers.empty(1, 8, 4, 6)
    address = first.data_ptr()
    view = first[0, 0]
    del first
    assert buffers.empty(1, 8, 4, 6).data_ptr() not in (address, second.data_ptr())
    del view
    assert buffers.empty(1, 8, 4, 6).data_ptr() == address


def test_threads_do_not_share() -> None:
    address = buffers.empty(1, 8, 4, 6).data_ptr()
    found: list[torch.Tensor] = []
    thread = threading.Thread(target=lambda: found.append(buffers.empty(1, 8, 4, 6)))
    thread.start()
    thread.join()
    assert found[0].data_ptr() != address
    assert buffers.empty(1, 8, 4, 6).data_ptr() == address


def test_of_many_shapes_only_what_is_used_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, '_MOST_BYTES', 1000)
    used = buffers.empty(1, 8, 4, 6).fill_(7)
    for height in range(1, 20):
        buffers.empty(1, 8, height, 2)
    bytes_kept = sum(buffer.nbytes for some in buffers._BUFFERS.by_shape.values()
                     for buffer in some)
    assert bytes_kept < 768 + 2 * 1000    # those that are used, and what came since
    assert (used == 7).all()
    assert buffers.empty(1, 8, 4, 6).data_ptr() != used.data_ptr()
