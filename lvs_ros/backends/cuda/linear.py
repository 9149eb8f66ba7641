# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Linear interpolation, for kernels of a GPU written in Triton."""

import triton
import triton.language as tl


@triton.jit
def hold_inside(place, count):  # type: ignore[no-untyped-def]
    """Return the nearest place from 0 to count - 1, float32; of NaN 0, so that it can be read."""
    return tl.minimum(tl.where(place > 0, place, 0.0), count - 1.0)


@triton.jit
def load_between(first, second, weight, is_wanted):  # type: ignore[no-untyped-def]
    """Load from two addresses and return their weighted mean, float32.

    :param weight: of the second, 0..1
    :param is_wanted: where something is loaded
    """
    return (tl.load(first, mask=is_wanted, other=0).to(tl.float32) * (1 - weight)
            + tl.load(second, mask=is_wanted, other=0).to(tl.float32) * weight)
