# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The compiled operators of every level, and what their results may differ by."""

import ctypes
import pathlib
from typing import Optional

import pytest
import torch

import lvs_ros
from lvs_ros.native import library as native


def compiled_levels() -> list[pathlib.Path]:
    return [path for folder in lvs_ros.__path__
            for path in sorted(pathlib.Path(folder, 'native').glob('liblvs_native_*.so'))]


each_level = pytest.mark.parametrize('path', compiled_levels(), ids=lambda path: path.stem)


def operators_that_run_here(path: pathlib.Path) -> Optional[ctypes.CDLL]:
    """Load a level; skips the test where the processor is too old for it."""
    level = path.stem.removeprefix('liblvs_native_')
    if level not in native._levels():
        pytest.skip(f'this processor cannot run {level}')
    return native._load(path)


def assert_equal_but_for_rounding(result: torch.Tensor, expected: torch.Tensor) -> None:
    assert result.shape == expected.shape and result.dtype == torch.float32
    assert (result.double() - expected).abs().max() <= 1e-5 * (1 + expected.abs().max())
