# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs watch``: a page in the browser that shows running nodes and sets their threshold.

Nothing here imports rclpy: what a page shows comes from a :class:`~lvs_ros.watch.source.Source`.
"""
