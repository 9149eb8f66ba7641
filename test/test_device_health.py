# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which errors of a GPU last."""

from typing import Optional

import pytest
import torch

from lvs_ros.pipeline.device_health import lasting_error

STICKS = 'CUDA error: an illegal memory access was encountered'


@pytest.mark.parametrize('error, expected', [
    (None, None), (torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB'), None),
    (RuntimeError(STICKS + '\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1'), STICKS)])
def test_an_error_lasts_if_the_device_cannot_be_used(
        error: Optional[RuntimeError], expected: Optional[str]) -> None:
    used = []

    def use(device: torch.device) -> None:
        used.append(device)
        if error is not None:
            raise error

    assert lasting_error(torch.device('cuda:1'), use) == expected
    assert used == [torch.device('cuda:1')]


def test_a_cpu_is_never_lost() -> None:
    assert lasting_error(torch.device('cpu')) is None
