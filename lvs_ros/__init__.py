# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Low-latency video semantic segmentation for ROS 2 (Li, Shi, Lin, CVPR 2018)."""

import os
import pkgutil

# The OpenMP threads of torch wait for work by spinning, unless told otherwise before torch is
# loaded. With two networks on the same cores, the threads that spin are in the way of those that
# work: the slowest frames then take seconds instead of a tenth of one.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

# In a checkout the modules are in the source tree and the compiled lvs_ros.msg is in colcon's
# install folder: both are one package. Where everything is in one folder this changes nothing.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = '0.1.0'
