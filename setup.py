# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Install the Python package with pip where there is no ROS (colcon uses CMakeLists.txt)."""

import glob
import os

from setuptools import setup

SHARE = 'share/lvs_ros'


def shared_files(folder):
    """List the files under a folder as data_files entries, each in its own subfolder of share/."""
    entries = []
    for parent, _, names in sorted(os.walk(folder)):
        files = [os.path.join(parent, name) for name in sorted(names) if not name.endswith('.pyc')]
        if files:
            entries.append((os.path.join(SHARE, parent), files))
    return entries


setup(data_files=[
    ('share/ament_index/resource_index/packages', ['resource/lvs_ros']),
    (SHARE, ['package.xml']),
    (os.path.join(SHARE, 'launch'), sorted(glob.glob('launch/*.launch.py'))),
    *shared_files('config'),
    # `lvs replay` writes the definition into its recordings
    *shared_files('msg'),
])
