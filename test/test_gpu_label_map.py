# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Labels by the GPU's kernel: a loop in float64 tells what comes out."""

from typing import Any

import numpy as np
import pytest
import torch

from gpu_kernels import DEVICE, module_of


@pytest.fixture(scope='module')
def gpu() -> Any:
    return module_of('label_map')


def upsampled(logits: np.ndarray, size: tuple[int, int], content: tuple[int, int],
              align_corners: bool) -> np.ndarray:
    """The logits of each pixel, read where its place in the image is; (classes, H, W) float64."""
    result = logits.astype(np.float64)
    for axis, (inner, pixels, count) in enumerate(zip(content, size, logits.shape[1:]), start=1):
        centres = (np.linspace(0, inner - 1, pixels) if align_corners
                   else (np.arange(pixels) + 0.5) * inner / pixels - 0.5)
        # Pixel 8i is position i with aligned corners; else position i is in the middle of eight.
        at = np.clip(centres / 8 if align_corners else (centres - 3.5) / 8, 0, count - 1)
        lower = np.floor(at).astype(int)
        weight = (at - lower).reshape([-1 if n == axis else 1 for n in range(3)])
        result = (result.take(lower, axis) * (1 - weight)
                  + result.take(np.minimum(lower + 1, count - 1), axis) * weight)
    return result


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('content, size, classes, dtype', [
    ((11, 45), (11, 45), 3, torch.float32),    # more than one block, both ways
    ((33, 45), (7, 41), 5, torch.float16),     # of an image that was scaled down
    ((21, 35), (29, 50), 2, torch.bfloat16),
    ((1, 30), (1, 30), 19, torch.float16),
    ((14, 1), (14, 1), 6, torch.float32),
    ((3, 4), (2, 3), 1, torch.float32)])
def test_labels_and_confidence(gpu: Any, content: tuple[int, int], size: tuple[int, int],
                               classes: int, align_corners: bool, dtype: torch.dtype) -> None:
    positions = [-(-(side - align_corners) // 8) + align_corners for side in content]
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(1, classes, *positions, generator=generator).mul(3).to(DEVICE, dtype)
    expected = upsampled(logits[0].float().cpu().numpy(), size, content, align_corners)
    label_map = gpu.TritonLabelMap(align_corners=align_corners)
    mask, nothing = label_map(logits, size, content)
    assert nothing is None and mask.shape == size and mask.dtype == torch.uint8
    ordered = np.sort(expected, 0)
    is_clear = (ordered[-1] - ordered[-2] > 1e-3 if classes > 1
                else np.ones(size, dtype=np.bool_))
    assert (mask.cpu().numpy() == expected.argmax(0))[is_clear].all()
    again, confidence = label_map(logits.contiguous(), size, content, want_confidence=True)
    assert torch.equal(again, mask) and confidence.dtype == torch.uint8
    chances = np.exp(expected - ordered[-1])
    np.testing.assert_allclose(confidence.cpu().numpy(), 255 / chances.sum(0), atol=0.51)


@pytest.mark.parametrize('classes', [1, 2, 3, 5, 11, 19, 40])
def test_of_equal_classes_the_first_wins(gpu: Any, classes: int) -> None:
    logits = torch.full((1, classes, 2, 3), -2.0, device=DEVICE)
    logits[:, classes // 2:] = 5.0    # all of the second half alike
    mask, confidence = gpu.TritonLabelMap(align_corners=False)(logits, (2, 5), (16, 24), True)
    assert (mask == classes // 2).all()
    best, others = classes - classes // 2, classes // 2
    chance = 255 / (best + others * np.exp(-7))
    assert (confidence.float() - chance).abs().max() <= 0.51


def test_extreme_logits_leave_the_confidence_in_range(gpu: Any) -> None:
    logits = torch.tensor([-3e38, 3e4, 3e38, 0]).view(1, 4, 1, 1).expand(1, 4, 2, 2).to(DEVICE)
    mask, confidence = gpu.TritonLabelMap(align_corners=True)(logits, (3, 3), (9, 9), True)
    assert (mask == 2).all() and (confidence == 255).all()


@pytest.mark.parametrize('align_corners', [False, True])
def test_it_is_used_where_it_computes_what_it_should(
        gpu: Any, monkeypatch: pytest.MonkeyPatch, align_corners: bool) -> None:
    def reason(classes: int = 3) -> str:
        return gpu.reason_against_labels(DEVICE, torch.float16, classes,
                                         align_corners=align_corners)

    assert reason() == reason(1) == ''
    monkeypatch.setattr(gpu, 'pixel_scales', lambda *sizes, **options: (0.5, (0.1, 0.125)))
    assert 'off' in reason()
