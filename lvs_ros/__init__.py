# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Low-latency video semantic segmentation for ROS 2 (Li, Shi, Lin, CVPR 2018)."""

__version__ = '0.1.0'
