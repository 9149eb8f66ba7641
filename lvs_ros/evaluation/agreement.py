# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the figures of an evaluation without labels are called."""

from typing import Any

_AGREEMENT = {
    'miou': 'agreement_miou', 'miou_se': 'agreement_miou_se', 'iou': 'agreement_iou',
    'streaming_miou': 'streaming_agreement_miou',
    'streaming_miou_se': 'streaming_agreement_miou_se', 'adaptive_miou': 'adaptive_agreement_miou',
    'fixed_miou': 'fixed_agreement_miou', 'pixel_accuracy': 'agreement',
    'streaming_miou_by_duration': 'streaming_agreement_miou_by_duration',
    'perfect_labels_one_frame_old': 'per_frame_masks_one_frame_old'}
_ROW_OF_LABELS = ('difference', 'difference_se', 'pixel_accuracy', 'agreement_miou')


def named_agreement(value: Any) -> Any:
    """Rename what is no accuracy, in all of a JSON value.

    Without labels, the masks of the per-frame network stand for them: what is computed like a mIoU
    is an agreement then.
    """
    if isinstance(value, dict):
        is_row = 'compute_mean_ms' in value    # it has an agreement of its own, by frames
        return {_AGREEMENT.get(name, name): named_agreement(entry)
                for name, entry in value.items() if not (is_row and name in _ROW_OF_LABELS)}
    return [named_agreement(entry) for entry in value] if isinstance(value, list) else value
