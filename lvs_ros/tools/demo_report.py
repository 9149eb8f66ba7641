# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What ``lvs demo`` writes: video, pictures, plots and figures."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from typing import Any

import cv2
import numpy as np

from lvs_ros.evaluation.metrics import ConfusionMatrix
from lvs_ros.labels import LabelSet, load_label_set
from lvs_ros.packed_mask import unpack
from lvs_ros.plots import DeviationSample, new_figure, plot_deviation, save_figure
from lvs_ros.recordings.video import VideoWriter
from lvs_ros.street import StreetScene
from lvs_ros.tool_nodes.run_log import RunLog
from lvs_ros.tools.run_summary import SUMMARY, summarise

CONTENTS = {
    'overlay.mp4': 'images of the camera, and masks of the node',
    'overlay.png': 'one frame: image, mask, exact labels',
    'latency.png': 'time from stamp to mask of every frame',
    'deviation.png': 'predicted deviation, threshold, key frames',
    SUMMARY: 'the figures',
}
"""The files of a report, and what is in them."""

_NANOSECONDS = 1_000_000_000


@dataclasses.dataclass
class DemoReport:
    """Writes the files about a run.

    The images are not those that were received but rendered again from their stamps: the same
    bytes, and their labels with them.

    :param log: the run.
    :param scene: what the camera filmed.
    :param origin_ns: the camera's origin.
    :param labels: of the node's masks.
    :param rate_hz: of the camera.
    """

    log: RunLog
    scene: StreetScene
    origin_ns: int
    labels: LabelSet
    rate_hz: float

    def __post_init__(self) -> None:
        self._stamps = sorted(self.log.arrivals)
        self._street_labels = load_label_set('camvid')    # what the street is drawn in

    def write(self, folder: pathlib.Path) -> dict[str, Any]:
        """Write everything.

        :param folder: exists not yet; its parent does.
        :return: the figures, see :func:`~lvs_ros.tools.run_summary.summarise`
        """
        folder.mkdir()
        confusion = self._write_video(folder / 'overlay.mp4')
        self._write_picture(folder / 'overlay.png')
        plot_latency(folder / 'latency.png', self.log)
        self._plot_deviation(folder / 'deviation.png')
        miou = None if confusion is None else confusion.miou()
        summary = summarise(self.log, miou=miou)
        if confusion is not None:
            summary['iou'] = {name: None if np.isnan(value) else round(float(value), 4)
                              for name, value in zip(self.labels.names, confusion.iou())}
        statuses = self.log.statuses
        summary['schedule'] = statuses[max(statuses)].schedule if statuses else None
        summary['image_size'] = [self.scene.width, self.scene.height]
        summary['street_seed'] = self.scene.seed
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + '\n', encoding='utf-8')
        return summary

    def _frame(self, stamp_ns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return image, exact labels and mask, the mask at the image's size."""
        image, labels = self.scene.render((stamp_ns - self.origin_ns) / _NANOSECONDS)
        mask = unpack(self.log.masks[stamp_ns])
        if mask.shape != labels.shape:
            mask = cv2.resize(mask, labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
        return image, labels, mask

    def _write_video(self, path: pathlib.Path) -> ConfusionMatrix | None:
        """Write the video; return the confusion matrix where the classes are the street's."""
        same = self.labels.names == self._street_labels.names
        confusion = ConfusionMatrix(len(self.labels)) if same else None
        with VideoWriter(path, rate_hz=self.rate_hz) as video:
            for stamp in self._stamps:
                image, labels, mask = self._frame(stamp)
                if confusion is not None:
                    confusion.add(labels, mask)
                pair = np.hstack([image, self.labels.overlay(image, mask)])
                video.write(self._captioned(pair, stamp), stamp)
        return confusion

    def _captioned(self, picture: np.ndarray, stamp_ns: int) -> np.ndarray:
        status = self.log.statuses.get(stamp_ns)
        text = f'{self.log.latency_ms(stamp_ns):.0f} ms'
        if status is not None:
            if not math.isnan(status.deviation):
                text += f'   deviation {status.deviation:.2f}'
            text += '   KEY FRAME' if status.key_frame \
                else f'   key frame {status.key_age_frames} frames ago'
        height = max(18, picture.shape[0] // 15)
        strip = np.full((height + (picture.shape[0] + height) % 2, picture.shape[1], 3), 24,
                        np.uint8)
        colour = (255, 210, 80) if status is not None and status.key_frame else (220, 220, 220)
        cv2.putText(strip, text, (6, int(0.72 * height)), cv2.FONT_HERSHEY_SIMPLEX,
                    height / 45.0, colour, max(1, height // 26), cv2.LINE_AA)
        return np.vstack([picture, strip])

    def _write_picture(self, path: pathlib.Path) -> None:
        image, labels, mask = self._frame(self._stamps[len(self._stamps) // 2])
        picture = np.hstack([image, self.labels.overlay(image, mask, alpha=0.7),
                             self._street_labels.overlay(image, labels, alpha=0.7)])
        encoded = cv2.imencode('.png', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
        path.write_bytes(encoded.tobytes())

    def _plot_deviation(self, path: pathlib.Path) -> None:
        statuses = [(stamp, self.log.statuses[stamp]) for stamp in self._stamps
                    if stamp in self.log.statuses]
        samples = [DeviationSample(time_s=(stamp - self._stamps[0]) / _NANOSECONDS,
                                   deviation=status.deviation, threshold=status.threshold,
                                   key_frame=status.key_frame) for stamp, status in statuses]
        plot_deviation(path, samples, title='The synthetic street')


def plot_latency(path: pathlib.Path, log: RunLog) -> None:
    """Draw the latency of every mask over time, and how often each latency came.

    :param path: PNG file to be written
    """
    stamps = sorted(log.arrivals)
    times = np.array([(stamp - stamps[0]) / _NANOSECONDS for stamp in stamps])
    latencies = np.array([log.latency_ms(stamp) for stamp in stamps])
    key = np.array([stamp in log.statuses and log.statuses[stamp].key_frame for stamp in stamps])
    figure = new_figure(10, 4)
    over_time, often = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    over_time.plot(times[~key], latencies[~key], '.', color='tab:blue', markersize=4,
                   label='propagated')
    over_time.plot(times[key], latencies[key], 'o', color='tab:green', markersize=5,
                   label='key frame')
    for share, style in ((50, '-'), (99, '--')):
        value = np.percentile(latencies, share)
        over_time.axhline(value, color='0.4', linestyle=style, linewidth=0.9,
                          label=f'p{share}: {value:.1f} ms')
    over_time.set(xlabel='time (s)', ylabel='stamp to mask (ms)', ylim=(0, None))
    over_time.grid(alpha=0.25)
    over_time.legend(loc='upper right', fontsize='small')
    often.hist(latencies, bins=40, orientation='horizontal', color='tab:blue', alpha=0.7)
    often.set(xlabel='frames')
    often.grid(alpha=0.25)
    save_figure(path, figure)
