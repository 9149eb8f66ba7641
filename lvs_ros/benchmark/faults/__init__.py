# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Faulty messages and pictures, and how a node and its decoders handle them."""
