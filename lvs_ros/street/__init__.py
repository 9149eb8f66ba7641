# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A synthetic street: video frames with exact labels, without data, assets or a GPU.

:class:`StreetScene` renders what a camera in a driving car sees. The same (seed, size, time) gives
the same bytes, so the exact labels of a frame can be rendered again from its time.
"""

from lvs_ros.street.scene import StreetScene

__all__ = ['StreetScene']
