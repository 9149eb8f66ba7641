# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Kernels and copies for a GPU of Nvidia's."""
