# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What to train on, as a user asks for it."""

import dataclasses
import pathlib
from typing import Optional, Sequence

from lvs_ros.errors import ConfigurationError
from lvs_ros.labels import LabelSet, load_label_set


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """What to train on.

    :param camvid: folder of a split in the layout of CamVid
    :param data: list of images and labels
    :param labels: label set that was asked for; None = that of the data set, or of the model
    :param rate_hz: images a second of ``camvid`` and ``data``; None = by their names or the list
    :param cityscapes: root of Cityscapes, of which ``train`` is taken
    :param hide_labels: treat these as if they were recordings
    :param recordings: recordings, folders of images, video files
    :param topic: image topic of the recordings; None = the only one
    :param recording_rate_hz: images per second of folders of images; None = by times, or 15
    :param frames_per_recording: of a longer one, so many frames are chosen; 0 = all
    :param street_clips: clips of the synthetic street; None = as many as suit the other data
    :param street_frames: frames of each of them
    :param street_share: share of the street in the batches, where there are other data
    :param size: (width, height) to scale all frames to; None = as they are
    :param memory_gb: data sets that take more are read while the training goes on
    :param val: data to hold out: labelled, of any layout, or footage
    :param val_share: share of the data to hold out
    :param val_by: how it is chosen, see :func:`~lvs_ros.training.held_out.hold_out`
    :param seed: of the streets
    """

    camvid: Optional[pathlib.Path] = None
    data: Optional[pathlib.Path] = None
    labels: Optional[LabelSet] = None
    rate_hz: Optional[float] = None
    cityscapes: Optional[pathlib.Path] = None
    hide_labels: bool = False
    recordings: Sequence[pathlib.Path] = ()
    topic: Optional[str] = None
    recording_rate_hz: Optional[float] = None
    frames_per_recording: int = 2000
    street_clips: Optional[int] = None
    street_frames: int = 12
    street_share: float = 0.2
    size: Optional[tuple[int, int]] = None
    memory_gb: float = 2.0
    val: Optional[pathlib.Path] = None
    val_share: Optional[float] = None
    val_by: Optional[str] = None
    seed: int = 0

    def check(self) -> None:
        """See whether the options go together.

        :raises ConfigurationError: saying which do not.
        """
        drives = [one for one in (self.camvid, self.cityscapes, self.data) if one is not None]
        if not drives and not self.recordings and not self.street_clips:
            raise ConfigurationError('nothing to train on: give --camvid, --cityscapes, --data, '
                                     '--recording or --street-clips')
        if len(drives) > 1:
            raise ConfigurationError('CamVid and Cityscapes do not share a label set: give '
                                     '--camvid or --cityscapes, or one list of both with --data')
        if self.rate_hz is not None and not (self.camvid or self.data):
            raise ConfigurationError('--rate is that of the images of --camvid or --data: give '
                                     'one of them, or --recording-rate for a folder without '
                                     'labels')
        if self.hide_labels and not drives:
            raise ConfigurationError('--hide-labels hides the labels of --camvid, --cityscapes '
                                     'or --data: give one of them')
        if (self.street_clips or 0) < 0 or not 0 <= self.street_share <= 1:
            raise ConfigurationError('--street-clips must not be negative, and --street-share '
                                     'must lie between 0 and 1')
        if self.recording_rate_hz is not None and not self.recording_rate_hz > 0:
            raise ConfigurationError(f'--recording-rate {self.recording_rate_hz}: expected a '
                                     'number above 0')
        if self.frames_per_recording < 0:
            raise ConfigurationError(f'--frames-per-recording is {self.frames_per_recording}: '
                                     'expected a number of frames, or 0 for all')
        self._check_held_out()
        if self.size is not None and min(self.size) < 32:
            raise ConfigurationError(f'--size is {self.size[0]} {self.size[1]}: expected at least '
                                     '32 pixels each')

    def _check_held_out(self) -> None:
        if self.val is not None and self.val_share is not None:
            raise ConfigurationError('--val names what is held out, --val-share takes it from the '
                                     'other data: give one of them')
        if self.val_share is not None and not 0 < self.val_share < 1:
            raise ConfigurationError(f'--val-share is {self.val_share:g}: expected a share of the '
                                     'data above 0 and below 1, such as 0.2; leave it away to '
                                     'hold out nothing')
        if self.val_by is not None and self.val_share is None:
            raise ConfigurationError(f'--val-by {self.val_by} says how --val-share is chosen: '
                                     'give that, too')

    @property
    def needs_teacher(self) -> bool:
        """Whether there are frames that the full network has to label."""
        return bool(self.recordings) or self.hide_labels

    @property
    def labelled(self) -> bool:
        """Whether there are drives whose labels are trained on."""
        return bool(self.camvid or self.cityscapes or self.data) and not self.hide_labels

    @property
    def label_set(self) -> Optional[LabelSet]:
        """The label set that the data's own labels come in; None = they have none, or any."""
        if self.labels is not None or not (self.labelled or self.street_clips):
            return self.labels
        if self.labelled and self.data is not None:
            return None
        return load_label_set('cityscapes' if self.labelled and self.cityscapes else 'camvid')
