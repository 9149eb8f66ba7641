# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Drives on disk: labelled datasets, folders of images, recordings as footage."""
