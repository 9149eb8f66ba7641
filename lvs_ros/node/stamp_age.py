# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How old a frame is, and whether that can be told at all."""

from __future__ import annotations

import dataclasses

# Clocks of two machines on one vehicle differ by less than this even when badly synchronised.
_LARGEST_LEAD_S = 0.1
# With a queue of one frame nothing waits this long: an older stamp is another clock's.
_LARGEST_AGE_S = 60.0


@dataclasses.dataclass(frozen=True)
class StampAge:
    """The time from a frame's stamp to the publishing of its mask.

    :param latency_ms: None where the stamp is not of the node's clock.
    :param explanation: why there is no latency; None where there is.
    """

    latency_ms: float | None
    explanation: str | None = None

    def is_stale(self, stale_after_s: float) -> bool:
        """Tell whether the frame is too old to act upon; it is if its age cannot be told.

        :param stale_after_s: the limit in seconds; 0 = no limit.
        """
        if stale_after_s <= 0.0:
            return False
        return self.latency_ms is None or self.latency_ms > 1e3 * stale_after_s


def stamp_age(stamp_ns: int, now_ns: int) -> StampAge:
    """Compare a frame's stamp with the node's clock.

    :param stamp_ns: the header's stamp in nanoseconds.
    :param now_ns: the node's clock in nanoseconds, when the mask has been published.
    """
    if stamp_ns == 0:
        return StampAge(None, 'the images carry no stamp (it is zero): the camera driver must set '
                              'header.stamp')
    if now_ns == 0:
        return StampAge(None, 'the node clock stands at zero: use_sim_time is set, but nothing '
                              'publishes /clock (ros2 bag play --clock)')
    age_s = (now_ns - stamp_ns) * 1e-9
    if age_s > _LARGEST_AGE_S:
        return StampAge(None, f'the image stamps are {_duration(age_s)} behind the node clock: '
                              'they come from another clock, as from a recording replayed without '
                              'use_sim_time')
    if age_s < -_LARGEST_LEAD_S:
        return StampAge(None, f'the image stamps are {_duration(-age_s)} ahead of the node clock: '
                              'synchronise the clocks of camera and computer, or set use_sim_time '
                              'alike on all nodes')
    return StampAge(age_s * 1e3)


def _duration(seconds: float) -> str:
    for size_s, unit in ((86400.0, 'days'), (3600.0, 'hours'), (60.0, 'minutes')):
        if seconds >= 2 * size_s:
            return f'{seconds / size_s:.0f} {unit}'
    return f'{seconds:.1f} s'
