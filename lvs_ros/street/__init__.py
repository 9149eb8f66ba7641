# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A synthetic street: video frames with exact labels, without data, assets or a GPU.

:class:`StreetScene` renders what a camera in a driving car sees. The same (seed, size, time) gives
the same bytes, so whoever knows the time of a frame can render its exact labels again.
"""

from lvs_ros.street.scene import StreetScene

__all__ = ['StreetScene']
