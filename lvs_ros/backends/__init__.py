# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What computes the networks: torch alone (eager), kernels of our own on a CPU, or a GPU."""
