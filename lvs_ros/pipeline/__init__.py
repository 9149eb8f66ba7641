# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""State and time: schedules, executors, and the step that labels a frame. No ROS here."""
