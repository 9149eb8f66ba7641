# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stages as captured graphs: a GPU repeats a list of kernels without Python launching each one.

Nothing here knows CUDA: :class:`~lvs_ros.backends.graphs.recorder.Recorder` is what a device does
for it.
"""
