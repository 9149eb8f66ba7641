# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The label map as one kernel of a GPU, written in Triton: the upsampled logits never exist."""

from typing import Optional

import torch
import triton
import triton.language as tl

from lvs_ros.backends.cuda.linear import hold_inside, load_between
from lvs_ros.backends.cuda.trial import reason_against
from lvs_ros.ops.geometry import STRIDE, pixel_scales
from lvs_ros.ops.label_map import LabelMap

_ROWS, _COLUMNS = 8, 32    # of the result, for a block of threads: few positions of the logits
_TRIED_POSITIONS = (2, 4)    # rows and columns


@triton.jit(do_not_specialize=['height', 'width', 'rows', 'columns'])    # compiled for all sizes
def label_kernel(logits, mask, confidence, height, width, rows,  # type: ignore[no-untyped-def]
                 columns, scale_y, scale_x, shift, CLASSES: tl.constexpr,
                 WANT_CONFIDENCE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = (tl.program_id(1) * ROWS + tl.arange(0, ROWS))[:, None]
    column = (tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    is_pixel = (row < rows) & (column < columns)
    y = hold_inside((row + shift) * scale_y - shift, height)
    x = hold_inside((column + shift) * scale_x - shift, width)
    top, left = y.to(tl.int32), x.to(tl.int32)
    bottom, right = tl.minimum(top + 1, height - 1), tl.minimum(left + 1, width - 1)
    weight_y, weight_x = y - top, x - left
    above, below = logits + top * width * CLASSES, logits + bottom * width * CLASSES
    best = tl.full((ROWS, COLUMNS), float('-inf'), tl.float32)
    total = tl.full((ROWS, COLUMNS), 0, tl.float32)    # of the exponentials, the best one's is 1
    label = tl.full((ROWS, COLUMNS), 0, tl.int32)
    for class_id in range(CLASSES):
        at_left, at_right = left * CLASSES + class_id, right * CLASSES + class_id
        value = (load_between(above + at_left, above + at_right, weight_x, is_pixel)
                 * (1 - weight_y)
                 + load_between(below + at_left, below + at_right, weight_x, is_pixel) * weight_y)
        is_better = value > best
        if WANT_CONFIDENCE:
            ratio = tl.exp(tl.where(is_better, best - value, value - best))
            total = tl.where(is_better, total * ratio + 1, total + ratio)
        label = tl.where(is_better, class_id, label)
        best = tl.where(is_better, value, best)
    pixel = row * columns + column
    tl.store(mask + pixel, label.to(tl.uint8), mask=is_pixel)
    if WANT_CONFIDENCE:
        tl.store(confidence + pixel, (255 / total + 0.5).to(tl.uint8), mask=is_pixel)


class TritonLabelMap(LabelMap):
    """Stands in for :class:`~lvs_ros.ops.label_map.LabelMap`; for inference on a GPU."""

    def forward(self, logits: torch.Tensor, size: tuple[int, int], content: tuple[int, int],
                want_confidence: bool = False) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        """See :meth:`lvs_ros.ops.label_map.LabelMap.forward`; logits may be of 16 bits."""
        logits = logits.contiguous(memory_format=torch.channels_last)
        _, classes, height, width = logits.shape
        shift, scales = pixel_scales(size, content, positions=(height, width),
                                     align_corners=self.align_corners)
        mask = torch.empty(size, dtype=torch.uint8, device=logits.device)
        confidence = torch.empty_like(mask) if want_confidence else None
        grid = (triton.cdiv(size[1], _COLUMNS), triton.cdiv(size[0], _ROWS))
        with torch.cuda.device_of(logits):    # Triton launches on the current one
            label_kernel[grid](
                logits, mask, mask if confidence is None else confidence, height, width, *size,
                *scales, shift, CLASSES=classes, WANT_CONFIDENCE=want_confidence, ROWS=_ROWS,
                COLUMNS=_COLUMNS)
        return mask, confidence


def reason_against_labels(device: torch.device, dtype: torch.dtype, classes: int, *,
                          align_corners: bool) -> str:
    """Compile the kernel for a kind of logits, and compare it with torch.

    The logits are small whole numbers, of which both compute exactly the same.

    :return: why it cannot be used; '' = it can
    """
    positions, generator = _TRIED_POSITIONS, torch.Generator().manual_seed(0)
    size = (positions[0] * STRIDE, positions[1] * STRIDE)
    if align_corners:
        size = (size[0] - STRIDE + 1, size[1] - STRIDE + 1)
    logits = torch.randint(-4, 5, (1, classes, *positions), generator=generator).to(device, dtype)
    compute, reference = (kind(align_corners=align_corners) for kind in (TritonLabelMap, LabelMap))

    def confidences(label_map: LabelMap) -> torch.Tensor:
        confidence = label_map(logits, size, size, want_confidence=True)[1]
        assert confidence is not None
        return confidence

    return (reason_against(lambda: compute(logits, size, size)[0],
                           reference(logits, size, size)[0], tolerance=0)
            or reason_against(lambda: confidences(compute), confidences(reference), tolerance=1))
