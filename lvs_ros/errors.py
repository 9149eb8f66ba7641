# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The errors that lvs_ros raises on purpose.

Each message says what was wrong, what was expected and how to mend it, so that a command or
the node can print it as it is, without a traceback.
"""


class LvsError(Exception):
    """Base of all errors that a user can mend."""


class ConfigurationError(LvsError):
    """A parameter, option or model configuration that cannot work."""


class ModelFileError(LvsError):
    """A model file that is missing, truncated, foreign or does not fit its configuration."""


class ImageError(LvsError):
    """A malformed image; the frame is dropped and counted, the stream goes on."""


class RecordingError(LvsError):
    """A recording (rosbag) that cannot be read or written."""


class OutputError(LvsError):
    """A file or folder that cannot be written."""


class DatasetError(LvsError):
    """A data set folder, image or label file that is missing or does not fit."""


class TrainingError(LvsError):
    """A training that diverges, or whose files cannot be written."""


class LabelSetError(LvsError):
    """A label set that is unknown or malformed."""
