# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Predicted against true deviation.

The true one is the fraction of pixels whose label differs between the per-frame network's masks
of two frames: what the deviation net was trained to tell (paper, section 3.3).
"""

import collections
import dataclasses
from typing import Optional, Sequence

import numpy as np
import torch

from lvs_ros.backends.prepare import choose_device, prepare
from lvs_ros.evaluation.dataset import Dataset
from lvs_ros.evaluation.run import RowRun
from lvs_ros.model import load_network
from lvs_ros.options import PipelineOptions
from lvs_ros.packed_mask import unpack
from lvs_ros.pipeline.inference_size import InferenceSize
from lvs_ros.pipeline.input import fit, to_tensor
from lvs_ros.plots import DeviationSample

DISTANCES = (1, 2, 3, 5, 8, 10, 15)
"""Frames from the earlier to the later frame of a pair."""


@dataclasses.dataclass(frozen=True)
class DeviationPair:
    """Two frames of one drive.

    :param index: number of the later one in the drive
    :param distance: frames between the two
    :param predicted: by the deviation net, 0..1
    :param true: 0..1
    """

    drive: int
    index: int
    distance: int
    predicted: float
    true: float


@torch.inference_mode()
def deviation_pairs(options: PipelineOptions, dataset: Dataset, reference: RowRun, *,
                    distances: Sequence[int] = DISTANCES) -> list[DeviationPair]:
    """Return all pairs at these distances.

    :param options: model, device, precision and size as in the runs
    :param reference: the per-frame network's run
    """
    network = prepare(load_network(options.model), device=choose_device(options.device),
                      precision=options.precision)
    config = network.config
    sizes = InferenceSize(options.inference_size, config.image_size)
    pairs = []
    for number, drive in enumerate(dataset.drives):
        masks = [unpack(frame.packed_mask) for frame in reference.frames
                 if frame.drive == number]
        # no more than needed: of a large network F_l takes a tenth of a gigabyte a frame
        lows: collections.deque[torch.Tensor] = collections.deque(maxlen=max(distances) + 1)
        for index, frame in enumerate(drive.load().frames):
            fitted = fit(frame, size=sizes.of(*frame.size), align_corners=config.align_corners)
            lows.append(network.low(to_tensor(fitted.frame, device=network.device)))
            for distance in distances:
                if distance <= index:
                    predicted = network.deviation(lows[-1 - distance], lows[-1])
                    pairs.append(DeviationPair(
                        number, index, distance, float(predicted),
                        _changed(masks[index - distance], masks[index])))
    return pairs


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation; nan of fewer than two values, or of constant ones."""
    if len(first) < 2:
        return float('nan')
    with np.errstate(invalid='ignore'):
        return float(np.corrcoef(ranks_of(first), ranks_of(second))[0, 1])


def ranks_of(values: Sequence[float]) -> np.ndarray:
    """Return ranks from 1 on, float64; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def deviation_samples(run: RowRun, reference: RowRun) -> list[DeviationSample]:
    """Return what Fig. 2 shows of the first drive.

    :param run: of a row whose schedule asks for the deviation
    :param reference: the per-frame network's run
    """
    masks = {frame.stamp_ns: unpack(frame.packed_mask) for frame in reference.frames
             if frame.drive == 0}
    samples: list[DeviationSample] = []
    key_stamp_ns: Optional[int] = None
    for frame in run.frames:
        if frame.drive != 0:
            continue
        status = frame.status
        # Before the step: a frame that becomes the key frame was compared with the one before.
        true = None if key_stamp_ns is None else _changed(masks[key_stamp_ns],
                                                          masks[frame.stamp_ns])
        samples.append(DeviationSample(
            time_s=frame.stamp_ns / 1e9, deviation=status.deviation, threshold=status.threshold,
            key_frame=status.key_frame, true_deviation=true))
        key_stamp_ns = status.key_stamp_ns
    return samples


def _changed(earlier: np.ndarray, later: np.ndarray) -> float:
    return float(np.count_nonzero(earlier != later) / later.size)
