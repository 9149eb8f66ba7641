# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions by a CPU's matrix unit (Intel's AMX)."""
