# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A kernel tried where it is to run, before it is used."""

from typing import Callable

import torch


def reason_against(compute: Callable[[], torch.Tensor], expected: torch.Tensor, *,
                   tolerance: float) -> str:
    """Compare what a kernel computes with what it should.

    :param compute: calls the kernel, which may have to be compiled first
    :param expected: in the shape of the result, any type
    :param tolerance: largest difference that rounding explains
    :return: why it cannot be used, one line; '' = it can
    """
    try:
        found = compute()
        error = float((found.double() - expected.double()).abs().max())
    except Exception as failure:  # noqa: B902: whatever it is, there is another way
        return f'{type(failure).__name__}: {failure}'.strip().split('\n')[0]
    return '' if error <= tolerance else f'its results are {error:g} off'
