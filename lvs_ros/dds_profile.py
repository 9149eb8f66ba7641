# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which environment makes Fast DDS carry large images: see config/fastdds_large_images.xml."""

from typing import Mapping

from lvs_ros.resources import config_dir

# Any of these is a decision of the user's about the same thing.
_CHOICES_OF_THE_USER = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE',
                        'FASTDDS_BUILTIN_TRANSPORTS')
# Fast DDS 3, which came with Kilted, has renamed the variable; it warns about the older name.
_DISTRIBUTIONS_WITH_THE_OLDER_NAME = ('humble', 'iron', 'jazzy')


def large_image_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add for a process that publishes large images.

    :param environ: the environment that the process would inherit.
    :return: the variable that names the profile; empty if ``environ`` already settles the matter.
        Other middlewares than Fast DDS do not read it.
    """
    if any(environ.get(name) for name in _CHOICES_OF_THE_USER):
        return {}
    older = environ.get('ROS_DISTRO') in _DISTRIBUTIONS_WITH_THE_OLDER_NAME
    name = 'FASTRTPS_DEFAULT_PROFILES_FILE' if older else 'FASTDDS_DEFAULT_PROFILES_FILE'
    return {name: str(config_dir() / 'fastdds_large_images.xml')}
