# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Measures rows of the paper's table on labelled drives. Imports pipeline, data and model."""
