# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How long everything takes on this computer: the two tracks, each stage, the way over DDS."""
