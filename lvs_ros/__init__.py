# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Low-latency video semantic segmentation for ROS 2 (Li, Shi, Lin, CVPR 2018)."""

import os
import pkgutil

# In a checkout the modules are in the source tree and the compiled lvs_ros.msg is in colcon's
# install folder: both are one package. Where everything is in one folder this changes nothing.
__path__ = pkgutil.extend_path(__path__, __name__)

# How long the OpenMP threads of torch wait for each other awake; to be set before torch loads.
# As they come, they spin for milliseconds: on a vehicle's computer, with other programs on the
# same cores, they are then in the way of those that work. If they never spin, every operation of
# a network begins with waking them up. So they spin for as long as the next operation may take.
if not {'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'} & os.environ.keys():
    os.environ['OMP_WAIT_POLICY'] = 'active'
    os.environ['GOMP_SPINCOUNT'] = '20000'    # about a third of a millisecond

__version__ = '0.1.0'
