# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How the networks are trained: network, then propagation, then deviation."""
