# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: images in, a mask out for every one of them."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import traceback
from typing import Any, Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from lvs_ros.errors import ConfigurationError, ImageError, LvsError
from lvs_ros.labels import LabelSet, load_label_set
from lvs_ros.node import qos
from lvs_ros.node.diagnostic_messages import (diagnostic_array, memory_values, status_values,
                                              stream_values)
from lvs_ros.node.diagnostics import Condition, FrameRecord, FrameWindow, judge
from lvs_ros.node.drop_counter import DropCounter
from lvs_ros.node.logged_warnings import warnings_logged
from lvs_ros.node.outputs import Outputs, status_message
from lvs_ros.node.parameters import NodeParameters
from lvs_ros.node.serialized_images import ReceivedImage, read_compressed_image, read_image
from lvs_ros.node.stamp_age import stamp_age
from lvs_ros.pipeline import PipelineOptions, SegmentationPipeline, build_pipeline
from lvs_ros.pipeline.frame import Frame, StepResult, StepStatus
from lvs_ros.pipeline.memory import out_of_the_collectors_sight

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
PipelineFactory = Callable[[PipelineOptions], SegmentationPipeline]


class SegmentationNode(LifecycleNode):
    """Segment a stream of images.

    All callbacks run one after another in the executor's thread: a frame is processed in its
    subscription callback, and with a queue of one the next callback gets the newest frame.

    :param name: name of the node.
    :param pipeline_factory: makes the pipeline on configuring.
    :param node_arguments: passed on to rclpy, as ``context`` or ``parameter_overrides``.
    :raises ConfigurationError: a parameter has a wrong start-up value.
    """

    def __init__(self, name: str = 'lvs', *, pipeline_factory: PipelineFactory = build_pipeline,
                 **node_arguments: Any) -> None:
        super().__init__(name, automatically_declare_parameters_from_overrides=True,
                         **node_arguments)
        self._pipeline_factory = pipeline_factory
        self._pipeline: SegmentationPipeline | None = None
        self._outputs: Outputs | None = None
        self._subscription: Any = None
        self._unseen = contextlib.ExitStack()    # closed: the garbage collector sees it all
        self._read: Callable[[bytes], ReceivedImage] = read_image
        self._reset_service: Any = None
        self._drops = DropCounter()
        self._window = FrameWindow()
        self._last_status: StepStatus | None = None
        self._last_error: str | None = None
        self._transition_error: str | None = None
        self._clock_problem: str | None = None
        self.parameters = NodeParameters(self, self._on_parameters_changed)
        for text in self.parameters.unknown:
            self.get_logger().warning(f'there is no parameter {text}; its value is ignored')
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # A steady clock: the diagnostics go on where simulated time stands still.
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.parameters.node.diagnostics_period_s, self._publish_diagnostics,
                          clock=self._steady_clock)

    @property
    def is_active(self) -> bool:
        """Whether images are subscribed to."""
        return self._subscription is not None

    def autostart(self) -> bool:
        """Configure and activate the node, as a lifecycle manager would.

        :returns: whether it is active now; if not, the reason has been logged.
        """
        return (self.trigger_configure() == SUCCESS
                and self.trigger_activate() == SUCCESS)

    # The lifecycle. rclpy turns an exception in here into an error without a word: log it.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, create the publishers, run the network once."""
        self._transition_error = None
        try:
            with warnings_logged(self.get_logger()):
                self._configure()
        except Exception as error:
            self._log_failure('configure', error)
            self._release()
            return FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Enable the publishers and subscribe to the images."""
        result = super().on_activate(state)
        if result != SUCCESS:
            return result
        self._transition_error = None
        try:
            self._activate()
        except Exception as error:
            self._log_failure('activate', error)
            self._unsubscribe()
            super().on_deactivate(state)
            return FAILURE
        return SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and forget the key frame."""
        self._unsubscribe()
        if self._pipeline is not None:
            self._pipeline.reset()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back that configuring took."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop for good, from whatever state."""
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Become unconfigured, ready for another try."""
        self._release()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """Stop the slow track and take the node off the graph."""
        self._release()
        super().destroy_node()

    def _configure(self) -> None:
        options = self.parameters.pipeline
        self._pipeline = self._pipeline_factory(options)
        label_set = self._load_labels(self._pipeline)
        self._outputs = Outputs(self, label_set)
        self._reset_service = self.create_service(Trigger, '~/reset', self._on_reset)
        width, height = self.parameters.node.warm_up_size
        if width and height:
            self._pipeline.warm_up(width, height)
        self.get_logger().info(
            f'model {options.model} on {self._pipeline.device}, labels {label_set.name} '
            f'({len(label_set)} classes), schedule {options.schedule}, '
            f'threshold {options.threshold:g}')

    def _load_labels(self, pipeline: SegmentationPipeline) -> LabelSet:
        name = self.parameters.node.labels or pipeline.label_set_name
        label_set = load_label_set(name)
        if len(label_set) != pipeline.num_classes:
            raise ConfigurationError(
                f'labels: the label set {name!r} has {len(label_set)} classes, the model '
                f"{pipeline.num_classes}; leave the parameter empty to use the model's own")
        return label_set

    def _activate(self) -> None:
        assert self._outputs is not None
        self._window, self._drops = FrameWindow(), DropCounter()
        self._last_status = self._last_error = self._clock_problem = None
        compressed = self.parameters.node.input_transport == 'compressed'
        self._read = read_compressed_image if compressed else read_image
        self._subscription = self.create_subscription(
            CompressedImage if compressed else Image,
            'image_raw/compressed' if compressed else 'image_raw',
            self._on_image, qos.image_input(), qos_overriding_options=qos.overridable(),
            raw=True)
        self._outputs.publish_label_info()
        self._unseen.enter_context(out_of_the_collectors_sight())    # what is there by now stays
        self.get_logger().info(f'waiting for images on {self._subscription.topic_name}')

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None

    def _release(self) -> None:
        self._unseen.close()
        self._unsubscribe()
        if self._reset_service is not None:
            self.destroy_service(self._reset_service)
            self._reset_service = None
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.close()

    def _log_failure(self, action: str, error: Exception) -> None:
        if not self.context.ok():  # shutting down: nothing can be created any more
            return
        kind = '' if isinstance(error, LvsError) else f'{type(error).__name__}: '
        self._transition_error = f'cannot {action}: {kind}{error}'
        self.get_logger().error(self._transition_error)

    # Frames.

    def _on_image(self, cdr: bytes, info: Mapping[str, Any]) -> None:
        if not self.is_active:  # taken just before the subscription was destroyed
            return
        started_s = time.perf_counter()
        try:
            self._process(cdr, info, started_s=started_s)
        except ImageError as error:
            self._last_error = str(error)
            self.get_logger().warning(f'malformed image dropped: {error}',
                                      throttle_duration_sec=1.0)
            self._count(info, malformed=True)
        except Exception as error:
            self._log_unexpected('frame dropped', error)
            self._count(info, failed=True)

    def _process(self, cdr: bytes, info: Mapping[str, Any], *, started_s: float) -> None:
        """Publish the mask before anything else: nobody should wait for what only describes it."""
        assert self._outputs is not None
        received = self._read(cdr)
        result = self._segment(received.frame)
        publish_start_s = time.perf_counter()
        self._outputs.publish_mask(received.header, result.mask)
        published_s = time.perf_counter()
        age = stamp_age(received.header.stamp_ns, self.get_clock().now().nanoseconds)
        stale = age.is_stale(self.parameters.node.stale_after_s)
        self._count(info, processing_ms=1e3 * (published_s - started_s),
                    latency_ms=age.latency_ms, published=True,
                    key_frame=result.status.key_frame, stale=stale)
        self._note(result.status, age.explanation)
        try:
            status = status_message(
                received.header, result.status, latency_ms=age.latency_ms, stale=stale,
                publish_ms=1e3 * (published_s - publish_start_s),
                frames_received=self._window.totals.received,
                frames_dropped=self._window.totals.dropped)
            self._outputs.publish_rest(received, result, status)
        except Exception as error:  # the mask is out: the frame is not lost
            self._log_unexpected('status, confidence or overlay not published', error)

    def _count(self, info: Mapping[str, Any], **what_became_of_it: Any) -> None:
        """Take note of a received frame, and of those lost before it."""
        lost = self._drops.update_from_info(info)
        self._window.add(FrameRecord(time_s=time.monotonic(), lost=lost, **what_became_of_it))

    def _segment(self, frame: Frame) -> StepResult:
        assert self._pipeline is not None and self._outputs is not None
        try:
            return self._pipeline.step(frame, want_confidence=self._outputs.wants_confidence)
        except ImageError:  # the pipeline is as it was
            raise
        except Exception:
            self._pipeline.reset()  # no one knows what state it is in
            raise

    def _note(self, status: StepStatus, clock_problem: str | None) -> None:
        """Remember what the diagnostics tell, and log what happens once."""
        self._last_status = status
        if status.reset_reason is not None:
            self.get_logger().info(f'starting again from a new key frame: {status.reset_reason}',
                                   throttle_duration_sec=1.0)
        if clock_problem is not None and self._clock_problem is None:
            self.get_logger().warning(f'latencies are not known: {clock_problem}',
                                      throttle_duration_sec=10.0)
        self._clock_problem = clock_problem

    def _log_unexpected(self, what: str, error: Exception) -> None:
        if not self.context.ok():  # shutting down: nothing can be published any more
            return
        self._last_error = f'{type(error).__name__}: {error}'
        if isinstance(error, LvsError):
            self.get_logger().error(f'{what}: {error}', throttle_duration_sec=1.0)
        else:
            text = ''.join(traceback.format_exception(error))
            self.get_logger().error(f'{what}: {text}', throttle_duration_sec=1.0)

    # Everything else that comes from outside.

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._pipeline is None or not self.is_active:
            response.message = 'the node is not active: there is nothing to forget'
            return response
        self._pipeline.reset()
        response.success = True
        response.message = 'the next frame becomes a key frame'
        return response

    def _on_parameters_changed(self, changed: Mapping[str, Any]) -> None:
        """Hand the new values to the pipeline, before its next step."""
        names = {field.name for field in dataclasses.fields(PipelineOptions)}
        for name, value in changed.items():
            if name in names and self._pipeline is not None:
                setattr(self._pipeline, name, value)
            self.get_logger().info(f'{name} is {value} now')

    def _publish_diagnostics(self) -> None:
        if not self.context.ok():
            return
        try:
            self._diagnostics.publish(self._diagnose())
        except Exception as error:
            self._log_unexpected('diagnostics not published', error)

    def _diagnose(self) -> DiagnosticArray:
        now_s = time.monotonic()
        summary = self._window.summary(now_s)
        level, message = judge(summary, self._condition(now_s))
        device = self._pipeline.device if self._pipeline is not None else ''
        values = {
            **stream_values(summary, self._window.totals, window_s=self._window.length_s,
                            losses_known=self._drops.exact),
            **status_values(self._last_status),
            'model': self.parameters.pipeline.model,
            'device': device,
            **memory_values(device),
        }
        return diagnostic_array(self.get_clock().now().to_msg(), level=level, message=message,
                                node=self.get_fully_qualified_name(), values=values)

    def _condition(self, now_s: float) -> Condition:
        if self._subscription is None:
            return Condition(active=False, transition_error=self._transition_error)
        topic = self._subscription.topic_name
        status, last_s = self._last_status, self._window.last_time_s
        return Condition(
            active=True, topic=topic, publishers=self.count_publishers(topic),
            silent_s=None if last_s is None else now_s - last_s,
            slow_track_failures=0 if status is None else status.slow_track_failures,
            slow_track_error=None if status is None else status.slow_track_error,
            clock_problem=self._clock_problem, last_error=self._last_error)
