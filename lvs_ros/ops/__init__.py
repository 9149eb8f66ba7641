# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Functional operators in torch, with gradients: the reference for what a backend computes.

A network calls each one through a module without parameters, which a backend replaces.
"""
