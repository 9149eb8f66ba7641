# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes about each frame."""

from __future__ import annotations

from typing import Any, Callable

import cv2
import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lvs_ros.labels import LabelSet
from lvs_ros.msg import FrameStatus
from lvs_ros.node import qos
from lvs_ros.node.autoware_mask import load_ids, write_autoware_mask
from lvs_ros.node.camera_info import CameraInfoRelay
from lvs_ros.node.colour_mask import ColourMask
from lvs_ros.node.compressed_mask import write_compressed_mask
from lvs_ros.node.image_messages import ns_to_stamp
from lvs_ros.node.serialized_images import ReceivedImage, SerializedHeader, write_image
from lvs_ros.options import NodeOptions
from lvs_ros.pipeline.as_rgb import as_rgb
from lvs_ros.pipeline.forecast import Forecast
from lvs_ros.pipeline.frame import Frame, StepResult, StepStatus
from lvs_ros.pipeline.status_fields import nan_if_none, status_fields


class Outputs:
    """The publishers of the mask in its forms, confidence, overlay, forecasts, status, labels.

    They publish only while the node is active. Made on configuring, destroyed on cleaning up.
    What is not the mask or the status is computed only where somebody subscribes to it.

    :param node: publishes on its private topics.
    :param label_set: names and colours of the classes.
    :param options: which of the outputs there are that are off by default.
    :raises LvsError: the classes of Autoware, or overrides of the quality of service, are wrong.
    """

    def __init__(self, node: LifecycleNode, label_set: LabelSet, options: NodeOptions) -> None:
        self._node = node
        self._label_set = label_set
        self._publishers: list[Any] = []
        try:
            self._mask = self._publisher(Image, '~/mask', qos.image_output())
            self._confidence = self._publisher(Image, '~/confidence', qos.image_output())
            self._overlay = self._publisher(Image, '~/overlay', qos.image_output())
            self._mask_forecast = self._publisher(Image, '~/mask_forecast', qos.image_output())
            self._confidence_forecast = self._publisher(
                Image, '~/confidence_forecast', qos.image_output())
            self._overlay_forecast = self._publisher(
                Image, '~/overlay_forecast', qos.image_output())
            self._status = self._publisher(FrameStatus, '~/status', qos.status_output())
            self._refined = self._publisher(
                Image, '~/mask_refined', qos.image_output()) if options.refined_mask else None
            self._derived = self._derived_masks(options)
            self.camera_info = self._camera_info_relay(options)
            self._heard_by = self._publishers.copy()
            self._label_info = self._label_info_publisher()
        except Exception:
            self.destroy()
            raise

    def _publisher(self, message_type: Any, topic: str, profile: Any) -> Any:
        with qos.overrides_checked():
            publisher = self._node.create_lifecycle_publisher(
                message_type, topic, profile, qos_overriding_options=qos.overridable())
        self._publishers.append(publisher)
        return publisher

    def _derived_masks(self, options: NodeOptions
                       ) -> list[tuple[Any, Callable[[np.ndarray, SerializedHeader], bytes]]]:
        """Return publishers of what is made of a mask alone, and how its message is made."""
        derived: list[tuple[Any, Callable[[np.ndarray, SerializedHeader], bytes]]] = [
            (self._publisher(Image, '~/mask/color', qos.image_output()),
             ColourMask(self._label_set).write),
            (self._publisher(CompressedImage, '~/mask/compressed', qos.image_output()),
             write_compressed_mask)]
        if options.autoware_classes:
            ids = load_ids(options.autoware_classes, self._label_set)
            derived.append((self._publisher(Image, '~/mask/autoware', qos.image_output()),
                            lambda mask, header: write_autoware_mask(mask, ids, header)))
        return derived

    def _camera_info_relay(self, options: NodeOptions) -> CameraInfoRelay:
        images = 'image_raw' + ('/compressed' if options.input_transport == 'compressed' else '')
        return CameraInfoRelay(
            self._node, self._publisher(CameraInfo, '~/camera_info', qos.image_output()),
            self._node.resolve_topic_name(images))

    def _label_info_publisher(self) -> Any:
        try:
            from vision_msgs.msg import LabelInfo
        except ImportError:
            self._node.get_logger().info(
                'vision_msgs is not installed: ~/label_info is not published; everything else is')
            return None
        return self._publisher(LabelInfo, '~/label_info', qos.label_info())

    @property
    def is_heard(self) -> bool:
        """Whether anything but the label info has subscribers."""
        return any(map(_is_heard, self._heard_by))

    @property
    def wants_confidence(self) -> bool:
        """Whether ~/confidence or ~/confidence_forecast has subscribers."""
        return _is_heard(self._confidence) or _is_heard(self._confidence_forecast)

    @property
    def wants_forecast(self) -> bool:
        """Whether a forecast has subscribers."""
        return any(map(_is_heard, (self._mask_forecast, self._confidence_forecast,
                                   self._overlay_forecast)))

    @property
    def wants_refined(self) -> bool:
        """Whether ~/mask_refined is there and has subscribers."""
        return self._refined is not None and self._refined.get_subscription_count() > 0

    def publish_label_info(self) -> None:
        """Tell the classes' names, once: the topic keeps the message for late joiners."""
        if self._label_info is None:
            return
        from vision_msgs.msg import LabelInfo, VisionClass
        message = LabelInfo(class_map=[VisionClass(class_id=class_id, class_name=name)
                                       for class_id, name in enumerate(self._label_set.names)])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._label_info.publish(message)

    def publish_mask(self, header: SerializedHeader, mask: np.ndarray) -> None:
        """Publish the mask.

        :param header: of the image.
        :param mask: (H, W) uint8 class ids.
        """
        self._mask.publish(write_image(mask, header))

    def publish_refined(self, header: SerializedHeader, mask: np.ndarray) -> None:
        """Publish the better mask of an image that has one already."""
        assert self._refined is not None
        self._refined.publish(write_image(mask, header))

    def publish_rest(self, received: ReceivedImage, result: StepResult,
                     status: FrameStatus) -> None:
        """Publish the status, and what else has subscribers, the quickest first."""
        header, frame = received.header, received.frame
        self._status.publish(status)
        self.camera_info.mask_published(header, frame.size, result.mask.shape[::-1])
        if result.confidence is not None and _is_heard(self._confidence):
            self._confidence.publish(write_image(result.confidence, header))
        for publisher, write in self._derived:
            if _is_heard(publisher):
                publisher.publish(write(result.mask, header))
        if _is_heard(self._overlay):
            self._overlay.publish(write_image(self._blend(frame, result.mask), header))

    def publish_forecast(self, received: ReceivedImage, forecast: Forecast) -> None:
        """Publish what of a forecast has subscribers, stamped with the time that it is for."""
        header = received.header.at(forecast.stamp_ns)
        if _is_heard(self._mask_forecast):
            self._mask_forecast.publish(write_image(forecast.mask, header))
        if forecast.confidence is not None and _is_heard(self._confidence_forecast):
            self._confidence_forecast.publish(write_image(forecast.confidence, header))
        if _is_heard(self._overlay_forecast):
            self._overlay_forecast.publish(
                write_image(self._blend(received.frame, forecast.mask), header))

    def _blend(self, frame: Frame, mask: np.ndarray) -> np.ndarray:
        """Blend the colours of a mask with its image, at the size of the mask."""
        image = as_rgb(frame)
        if image.shape[:2] != mask.shape:
            image = cv2.resize(image, mask.shape[::-1], interpolation=cv2.INTER_AREA)
        return self._label_set.overlay(image, mask)

    def destroy(self) -> None:
        """Take the publishers off the node."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()


def _is_heard(publisher: Any) -> bool:
    return bool(publisher.get_subscription_count() > 0)


def status_message(header: SerializedHeader, status: StepStatus, *, latency_ms: float | None,
                   stale: bool, publish_ms: float, frames_received: int,
                   frames_dropped: int) -> FrameStatus:
    """Describe how the mask of a frame came about.

    :param header: of the image.
    :param latency_ms: stamp to publishing, in milliseconds; None where it cannot be told.
    :param publish_ms: making and sending the mask's message, in milliseconds.
    """
    return FrameStatus(
        header=header.to_message(),
        key_stamp=ns_to_stamp(status.key_stamp_ns),
        **status_fields(status),
        publish_ms=publish_ms,
        latency_ms=nan_if_none(latency_ms),
        stale=stale,
        frames_received=frames_received,
        frames_dropped=frames_dropped)
