# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The errors that lvs_ros raises on purpose.

Each message says what was wrong, what was expected and how to mend it, so that a command or
the node can print it as it is, without a traceback.
"""

import contextlib
from typing import Iterator

from lvs_ros.dependencies import advice


class LvsError(Exception):
    """Base of all errors that a user can mend."""


class ConfigurationError(LvsError):
    """A parameter, option or model configuration that cannot work."""


class ModelFileError(LvsError):
    """A model file that is missing, truncated, foreign or does not fit its configuration."""


class ImageError(LvsError):
    """A malformed image; the frame is dropped and counted, the stream goes on."""


class DeviceLostError(LvsError):
    """A GPU that computes nothing any more in this process; another process may."""


class NotFiniteError(LvsError):
    """A frame whose features, logits or deviation are not finite; there is no mask."""


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


class SharedMemoryError(LvsError):
    """There is no shared memory left, and ROS cannot be loaded without."""


@contextlib.contextmanager
def ros_needed(what: str) -> Iterator[None]:
    """Import in this block what is there with ROS 2 only.

    :param what: needs it, for the error
    :raises ConfigurationError: it, or another package, is not there
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if text := advice(error):
            raise ConfigurationError(text) from error
        raise ConfigurationError(f'{what} needs ROS 2, and {error.name} is not there: source '
                                 'the setup file of a ROS installation, or env.sh') from error


def cut(text: str, length: int = 500) -> str:
    """Return a text as it is, or its beginning and how much of it is left out."""
    if len(text) <= length:
        return text
    return f'{text[:length]} … and {len(text) - length} more characters'


def shown(text: str) -> str:
    """Return a text that came in a message as an error may show it: in quotes, of one line, cut.

    :param text: an encoding or a format, for example.
    """
    return repr(text) if len(text) <= 80 else f'{text[:80]!r} and {len(text) - 80} more characters'
