# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which environment makes Fast DDS carry large images: see config/fastdds_large_images.xml."""

import os
import pathlib
from typing import Mapping

from lvs_ros.resources import config_dir

TRANSPORTS_VARIABLE = 'FASTDDS_BUILTIN_TRANSPORTS'
PROFILE_VARIABLES = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'
"""The variables that may name a profile."""

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
    if any(environ.get(name) for name in (*PROFILE_VARIABLES, TRANSPORTS_VARIABLE)):
        return {}
    older = environ.get('ROS_DISTRO') in _DISTRIBUTIONS_WITH_THE_OLDER_NAME
    new, old = PROFILE_VARIABLES
    return {old if older else new: str(_own_profile())}


def is_own_profile(path: str) -> bool:
    """Say whether this is the file that :func:`large_image_environment` names."""
    return os.path.exists(path) and os.path.samefile(path, _own_profile())


def _own_profile() -> pathlib.Path:
    return config_dir() / 'fastdds_large_images.xml'
