# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Triton kernels where there is no GPU: run by Triton's interpreter."""

import importlib
from typing import Any

import pytest
import torch

DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
"""Where kernels run: on a GPU where there is one, else by the interpreter."""


def module_of(name: str) -> Any:
    """Import a module of kernels; it chooses between GPU and interpreter when it is imported."""
    pytest.importorskip('triton', reason='triton is not installed')
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE.type == 'cpu':
            patch.setenv('TRITON_INTERPRET', '1')
        return importlib.import_module('lvs_ros.backends.cuda.' + name)
