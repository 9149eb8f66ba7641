# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Native kernels in C++, for the CPU: what torch has no fast way for.

``make setup`` and colcon compile them, once for each instruction set. Where there is none for the
processor (or they were not compiled), torch computes everything, more slowly.
"""
