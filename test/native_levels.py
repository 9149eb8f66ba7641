# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The CPU's instruction sets, each of which a test can force; what results may differ by."""

import contextlib
from typing import Iterator

import pytest
import torch

from lvs_ros.backends.cpu import library

needs_kernels = pytest.mark.skipif(
    library.kernels() is None, reason='no native kernels for this processor')
each_level = pytest.mark.parametrize('level', library.supported_levels())


@contextlib.contextmanager
def forced(level: str) -> Iterator[None]:
    """Use the kernels of a level, or 'none', in this block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(library.VARIABLE, level)
        library.choose.cache_clear()
        yield
    library.choose.cache_clear()


def assert_equal_but_for_rounding(result: torch.Tensor, expected: torch.Tensor) -> None:
    assert result.shape == expected.shape and result.dtype == torch.float32
    assert (result.double() - expected).abs().max() <= 1e-5 * (1 + expected.abs().max())
