# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Low-latency video semantic segmentation for ROS 2 (Li, Shi, Lin, CVPR 2018)."""

import os
import pkgutil

# In a checkout the modules are in the source tree and the compiled lvs_ros.msg is in colcon's
# install folder: both are one package. Where everything is in one folder this changes nothing.
__path__ = pkgutil.extend_path(__path__, __name__)

# The OpenMP threads of torch wait for each other by spinning, unless told otherwise before torch
# is loaded. On a vehicle's computer, with two networks and other programs on the same cores, those
# that spin are in the way of those that work, and the slowest frames take many times the median.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

__version__ = '0.1.0'
