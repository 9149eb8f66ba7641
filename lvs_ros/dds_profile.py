# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which environment makes Fast DDS carry large images: see config/fastdds_large_images.xml."""

import os
from typing import Mapping

from lvs_ros.resources import config_dir

TRANSPORTS_VARIABLE = 'FASTDDS_BUILTIN_TRANSPORTS'
_NEW_NAME, _OLD_NAME = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
# Fast DDS 3, which came with Kilted, has renamed the variable; it warns about the older name.
_DISTRIBUTIONS_WITH_THE_OLDER_NAME = ('humble', 'iron', 'jazzy')


def large_image_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add for a process that publishes large images.

    Whether there is enough shared memory for them, :mod:`lvs_ros.shared_memory` knows.

    :param environ: the environment that the process would inherit.
    :return: the variable that names the profile; empty if ``environ`` already settles the matter.
        Other middlewares than Fast DDS do not read it.
    """
    # Any of these is a decision of the user's about the same thing.
    if any(environ.get(name) for name in (*profile_variables(), TRANSPORTS_VARIABLE)):
        return {}
    older = environ.get('ROS_DISTRO') in _DISTRIBUTIONS_WITH_THE_OLDER_NAME
    return {_OLD_NAME if older else _NEW_NAME: str(config_dir() / 'fastdds_large_images.xml')}


def profile_variables() -> tuple[str, str]:
    """Return the variables that may name a profile."""
    return _NEW_NAME, _OLD_NAME


def is_own_profile(path: str) -> bool:
    """Say whether this is the file that :func:`large_image_environment` names."""
    own = config_dir() / 'fastdds_large_images.xml'
    try:
        return os.path.samefile(path, own)
    except OSError:
        return False
