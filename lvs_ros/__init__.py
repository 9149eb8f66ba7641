# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Low-latency video semantic segmentation for ROS 2 (Li, Shi, Lin, CVPR 2018)."""

import pkgutil

# In a checkout the modules are in the source tree and the compiled lvs_ros.msg is in colcon's
# install folder: both are one package. Where everything is in one folder this changes nothing.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = '0.1.0'
