# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The stages of the fast track, finer than the pipeline tells them.

The parts are called one by one on the tensors of a drive, in the order in which
:class:`~lvs_ros.pipeline.propagation.SpatiallyVariantPropagation` calls them; a test sees to it
that they come to the same mask as the pipeline.
"""

import collections
import dataclasses
import statistics
from typing import Any, Callable, Optional, Protocol

import cv2
import numpy as np
import torch

from lvs_ros.benchmark.clip import Clip
from lvs_ros.model import SegmentationNetwork, spatially_variant_convolution
from lvs_ros.model.alignment import align
from lvs_ros.pipeline import Frame
from lvs_ros.pipeline.inference_size import AUTO, InferenceSize
from lvs_ros.pipeline.input import FittedFrame, fit, to_tensor
from lvs_ros.pipeline.optical_flow import OpticalFlow
from lvs_ros.pipeline.output import label_map
from lvs_ros.pipeline.stopwatch import Stopwatch
from lvs_ros.pipeline.transfer import to_device

STAGES = {
    'decode': 'message to array',
    'input': 'array to tensor',
    'low': 'S_l',
    'deviation': 'deviation',
    'flow': 'optical flow',
    'alignment': 'alignment',
    'kernels': 'kernel predictor',
    'convolution': 'spatially variant convolution',
    'adapt_net': 'AdaptNet',
    'classifier': 'classifier',
    'output': 'upsampling + argmax',
    'message': 'mask to message',
}
"""Name and title of each stage, in order."""

OF_MESSAGES = ('decode', 'message')
"""Stages that are no part of the pipeline's step; left out where there is no ROS."""

_WARM_UP_FRAMES = 3


class Laps(Protocol):
    """What the stages are timed with."""

    def lap(self, stage: str) -> None:
        """End the stage that began with the last lap, or at the start."""

    def stage_ms(self) -> dict[str, float]:
        """Return the milliseconds of each stage."""


class Messages(Protocol):
    """Images as ROS messages."""

    def of_image(self, image: np.ndarray) -> Any:
        """Return the message of an image, (H, W, 3) uint8, or a mask, (H, W) uint8."""

    def to_frame(self, message: Any) -> Frame:
        """Return the frame that a message holds."""


class RosMessages:
    """What the node does with images; raises ModuleNotFoundError where there is no ROS."""

    def __init__(self) -> None:
        from std_msgs.msg import Header

        from lvs_ros.node.image_messages import decode_image, encode_image
        self._header, self._decode, self._encode = Header(), decode_image, encode_image

    def of_image(self, image: np.ndarray) -> Any:
        """Make a sensor_msgs/Image."""
        return self._encode(image, self._header)

    def to_frame(self, message: Any) -> Frame:
        """Look into one."""
        return self._decode(message)


@dataclasses.dataclass(frozen=True)
class _Key:
    """What is kept of the key frame.

    :param low: F_l
    :param embedding: the kernel predictor's view of it
    :param high: F_h
    :param grey: for optical flow; None where the network does without
    """

    low: torch.Tensor
    embedding: torch.Tensor
    high: torch.Tensor
    grey: Optional[np.ndarray]


class FastTrackParts:
    """Labels frames by the parts of the fast track, all from one key frame.

    :param network: prepared, on its device
    :param key: the key frame
    :param inference_size: as in :class:`~lvs_ros.pipeline.PipelineOptions`
    :param output_size: (width, height) of the masks; (0, 0) = the image's own
    :param messages: None = images come as arrays and masks leave as arrays
    :param stopwatch: makes what a frame is timed with, of the device
    """

    def __init__(self, network: SegmentationNetwork, key: Frame, *,
                 inference_size: str = AUTO, output_size: tuple[int, int] = (0, 0),
                 messages: Optional[Messages] = None,
                 stopwatch: Callable[[torch.device], Laps] = Stopwatch) -> None:
        self._network, self._device = network, next(network.parameters()).device
        self._inference_size = InferenceSize(inference_size, network.config.image_size)
        self._output_size = output_size
        self._messages, self._stopwatch = messages, stopwatch
        self._flow = OpticalFlow() if network.config.alignment == 'flow' else None
        self._key = self._of_key_frame(key)

    @property
    def key_low(self) -> torch.Tensor:
        """F_l of the key frame, (1, C_l, h, w)."""
        return self._key.low

    @torch.inference_mode()
    def run(self, frame: Frame) -> tuple[np.ndarray, dict[str, float]]:
        """Label a frame.

        :return: mask (H, W) uint8, and the milliseconds of each stage in the order of
            :data:`STAGES`
        """
        network, key = self._network, self._key
        message = None if self._messages is None else self._messages.of_image(frame.image)
        watch = self._stopwatch(self._device)
        if self._messages is not None:
            frame = self._messages.to_frame(message)
            watch.lap('decode')
        fitted = self._fit(frame)
        image = to_tensor(fitted.frame, device=self._device)
        watch.lap('input')
        low = network.low(image)
        watch.lap('low')
        embedding = network.embed(low)
        watch.lap('embedding')
        float(network.deviation(key.low, low))
        watch.lap('deviation')
        key_embedding, key_high = key.embedding, key.high
        if self._flow is not None:
            assert key.grey is not None
            displacement = to_device(self._flow.displacement(
                self._flow.grey(fitted.frame), key.grey, height=low.shape[2], width=low.shape[3]),
                self._device)
            watch.lap('flow')
            key_embedding, key_high = align(key_embedding, displacement), align(
                key_high, displacement)
            watch.lap('alignment')
        kernels = network.kernel_predictor(key_embedding, embedding)
        watch.lap('kernels')
        propagated = spatially_variant_convolution(key_high, kernels)
        watch.lap('convolution')
        high = network.adapt(low, propagated)
        watch.lap('adapt_net')
        logits = network.classify(high)
        watch.lap('classifier')
        width, height = frame.size if self._output_size == (0, 0) else self._output_size
        mask, _ = label_map(
            logits, size=(height, width), content=fitted.content,
            align_corners=network.config.align_corners, want_confidence=False)
        watch.lap('output')
        if self._messages is not None:
            self._messages.of_image(mask)
            watch.lap('message')
        return mask, _in_order(watch.stage_ms())

    @torch.inference_mode()
    def _of_key_frame(self, frame: Frame) -> _Key:
        frame = self._fit(frame).frame
        low = self._network.low(to_tensor(frame, device=self._device))
        return _Key(low, self._network.embed(low), self._network.high(low),
                    None if self._flow is None else self._flow.grey(frame))

    def _fit(self, frame: Frame) -> FittedFrame:
        return fit(frame, size=self._inference_size.of(*frame.size),
                   align_corners=self._network.config.align_corners)


def _in_order(lap_ms: dict[str, float]) -> dict[str, float]:
    """Return the stages; the predictor looks at the frame alone first, and then at both."""
    merged = {**lap_ms, 'kernels': lap_ms['kernels'] + lap_ms['embedding']}
    return {stage: merged[stage] for stage in STAGES if stage in merged}


@dataclasses.dataclass(frozen=True)
class Threads:
    """CPU threads that the pipeline has chosen for its frames.

    :param torch: of torch
    :param opencv: of OpenCV
    """

    torch: int
    opencv: int

    def take(self) -> None:
        """Let the calling thread have them, too."""
        torch.set_num_threads(self.torch)
        cv2.setNumThreads(self.opencv)


class StageMeter:
    """Measures the stages, some frames at a time.

    :param threads: of the fast track
    """

    def __init__(self, parts: FastTrackParts, clip: Clip, *, threads: Threads) -> None:
        self._parts, self._clip, self._threads = parts, clip, threads
        self._durations_ms: dict[str, list[float]] = collections.defaultdict(list)

    def measure(self, count: int, progress: Callable[[], object]) -> None:
        """Measure so many frames, after some that are not."""
        self._threads.take()
        frames = self._clip.frames(_WARM_UP_FRAMES + count, rate_hz=None)
        for frame in frames[:_WARM_UP_FRAMES]:
            self._parts.run(frame)
        for frame in frames[_WARM_UP_FRAMES:]:
            for stage, duration_ms in self._parts.run(frame)[1].items():
                self._durations_ms[stage].append(duration_ms)
            progress()

    def stages_ms(self) -> dict[str, float]:
        """Return the median of each stage, milliseconds."""
        return {stage: statistics.median(values)
                for stage, values in self._durations_ms.items()}


def step_ms(stages_ms: dict[str, float]) -> float:
    """Return what the pipeline's step has of the stages, milliseconds."""
    return sum(value for stage, value in stages_ms.items() if stage not in OF_MESSAGES)


def ros_messages() -> tuple[Optional[Messages], Optional[str]]:
    """Return what makes ROS messages; where there is no ROS, why that is left out."""
    try:
        return RosMessages(), None
    except ModuleNotFoundError as error:
        return None, (f'The stages of messages were left out: they need ROS 2, and {error.name} '
                      'is not there.')
