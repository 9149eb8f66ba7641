# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``~/camera_info``: for each mask, the camera's calibration of the same stamp."""

from __future__ import annotations

import collections
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo

from lvs_ros.errors import one_line
from lvs_ros.node.serialized_images import SerializedHeader, read_header

_KEPT = 100    # messages that may come while one frame is computed
_WAITING = 10    # masks; one without its message by then is counted as missing
_OUTCOMES = 100    # masks that the diagnostics look back on
Size = tuple[int, int]    # width, height


def topic_beside(image_topic: str) -> str:
    """Return the topic of the calibration as image_transport names it.

    :param image_topic: full name of that of the images, with or without ``/compressed``.
    """
    return image_topic.removesuffix('/compressed').rpartition('/')[0] + '/camera_info'


def image_size(info: CameraInfo) -> Size:
    """Return the size of the images that a calibration is of: its ROI, binned (REP 104)."""
    return ((info.roi.width or info.width) // (info.binning_x or 1),
            (info.roi.height or info.height) // (info.binning_y or 1))


def scaled(info: CameraInfo, scale_x: float, scale_y: float) -> CameraInfo:
    """Return the calibration of an image that has been resized.

    ROI and binning go into K and P, as image_geometry does it: a scaled ROI would be rounded. The
    distortion is that of normalised coordinates, and stays; so does the rotation. Like image_proc,
    this takes no account of where in a pixel its centre is.

    :param scale_x: new width by that of :func:`image_size`.
    :param scale_y: new height by the old one.
    """
    width, height = image_size(info)
    factor_x, factor_y = scale_x / (info.binning_x or 1), scale_y / (info.binning_y or 1)
    k, p = info.k.copy(), info.p.copy()
    for matrix, columns in ((k, 3), (p, 4)):
        if matrix.any():    # all zeros: not calibrated
            matrix[2] -= info.roi.x_offset
            matrix[columns + 2] -= info.roi.y_offset
        matrix[:columns] *= factor_x
        matrix[columns:2 * columns] *= factor_y
    return CameraInfo(
        header=info.header, distortion_model=info.distortion_model, d=info.d, r=info.r, k=k, p=p,
        width=round(width * scale_x), height=round(height * scale_y))


class _Mask(NamedTuple):
    """A mask that is out.

    :param image_size: of its image.
    :param size: its own.
    """

    image_size: Size
    size: Size


class CameraInfoRelay:
    """Publishes the calibration beside each mask, as soon as both are there.

    A mask never waits for it. While nobody listens, nothing is subscribed to.

    :param node: subscribes, by way of ``camera_info`` if that is remapped.
    :param publisher: of ~/camera_info.
    :param image_topic: full name of the topic of the images.
    """

    def __init__(self, node: Node, publisher: Any, image_topic: str) -> None:
        self._node, self._publisher = node, publisher
        remapped = node.resolve_topic_name('camera_info')
        is_remapped = remapped != node.resolve_topic_name('camera_info', only_expand=True)
        self._topic = remapped if is_remapped else topic_beside(image_topic)
        self._subscription: Any = None
        self._start_again()

    def _start_again(self) -> None:
        self._infos: collections.OrderedDict[int, bytes] = collections.OrderedDict()
        self._waiting: collections.OrderedDict[int, _Mask] = collections.OrderedDict()
        self._newest_ns = 0    # stamp of the newest mask
        self._has_come = False
        self._late = 0
        self._outcomes: collections.deque[bool] = collections.deque(maxlen=_OUTCOMES)
        self._misfit: str | None = None

    def unsubscribe(self) -> None:
        """Forget what has come, and what is waited for."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def mask_published(self, header: SerializedHeader, image_size: Size, size: Size) -> None:
        """Publish the calibration of a mask that is out, now or when it comes.

        :param image_size: width and height of its image.
        :param size: of the mask.
        """
        if not self._publisher.get_subscription_count():
            self.unsubscribe()
            return
        if self._subscription is None:
            self._start_again()
            self._subscription = self._node.create_subscription(
                CameraInfo, self._topic, self._on_info,
                QoSProfile(depth=_KEPT, reliability=ReliabilityPolicy.BEST_EFFORT), raw=True)
        stamp_ns, mask = header.stamp_ns, _Mask(image_size, size)
        self._newest_ns = stamp_ns
        cdr = self._infos.pop(stamp_ns, None)
        if cdr is not None:
            self._publish(cdr, mask)
            return
        self._waiting[stamp_ns] = mask
        if len(self._waiting) > _WAITING:
            self._waiting.popitem(last=False)
            self._outcomes.append(False)

    def _on_info(self, cdr: bytes) -> None:
        try:
            stamp_ns = read_header(cdr).stamp_ns
            if not self._has_come:    # what came before the subscription was there is not missing
                self._has_come = True
                for earlier_ns in [one for one in self._waiting if one < stamp_ns]:
                    del self._waiting[earlier_ns]
            mask = self._waiting.pop(stamp_ns, None)
            if mask is not None:
                self._late += stamp_ns != self._newest_ns
                self._publish(cdr, mask)
                return
            self._infos[stamp_ns] = cdr
            if len(self._infos) > _KEPT:
                self._infos.popitem(last=False)
        except Exception as error:    # whatever a foreign message holds: masks go on
            self._node.get_logger().error(
                f'camera info not published: {one_line(error)}',
                throttle_duration_sec=1.0)

    def _publish(self, cdr: bytes, mask: _Mask) -> None:
        info = deserialize_message(cdr, CameraInfo)
        expected = image_size(info)
        self._misfit = None if mask.image_size == expected else (
            'it is of images of {}x{}, and they have {}x{}'.format(*expected, *mask.image_size))
        if mask.size == mask.image_size:
            self._publisher.publish(cdr)
        else:
            self._publisher.publish(scaled(info, mask.size[0] / mask.image_size[0],
                                           mask.size[1] / mask.image_size[1]))
        self._outcomes.append(True)

    @property
    def problem(self) -> str | None:
        """What the diagnostics warn of; None where all is well or nobody listens."""
        outcomes = list(self._outcomes)
        if self._subscription is None or not outcomes:
            return None
        missing = outcomes.count(False)
        if missing:
            return (f'{missing} of {len(outcomes)} masks got no ~/camera_info: '
                    f'{self._topic} has {self._why()}')
        return self._misfit and f'{self._topic} does not fit the images: {self._misfit}'

    def _why(self) -> str:
        if not self._node.count_publishers(self._topic):
            return 'no publisher; remap camera_info to where the calibration is'
        if not self._has_come:
            return 'sent nothing: compare its QoS (ros2 topic info -v)'
        return 'no message with the stamps of these images'

    @property
    def description(self) -> str:
        """What the diagnostics show."""
        if self._subscription is None:
            return 'not subscribed to'
        outcomes = list(self._outcomes)
        return (f'{self._topic}: {outcomes.count(True)} of the last {len(outcomes)} masks; '
                f'{self._late} late')
