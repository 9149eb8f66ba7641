# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a benchmark."""

from lvs_ros.errors import LvsError


class BenchmarkError(LvsError):
    """Something that cannot be measured, or not so that the figure would mean anything."""
