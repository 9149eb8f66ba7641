# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a data set on disk holds, before anything of it is decoded."""

from typing import NamedTuple

from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.datasets.label_files import LabelFiles


class Listing(NamedTuple):
    """Frames, and how they were found.

    :param frames: by sequence and time
    :param label_files: reads their labels
    :param notes: what was guessed or left out, for people
    """

    frames: list[DriveFrame]
    label_files: LabelFiles
    notes: tuple[str, ...] = ()
