# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: images in, a mask out for every one of them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import os
import time
import traceback
from typing import Any, Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from lvs_ros.errors import (ConfigurationError, DeviceLostError, ImageError, LabelSetError,
                            LvsError, cut, one_line)
from lvs_ros.labels import LabelSet, load_label_set
from lvs_ros.node import qos
from lvs_ros.node.diagnostic_messages import (diagnostic_array, memory_values, status_values,
                                              stream_values)
from lvs_ros.node.diagnostics import Condition, FrameRecord, FrameWindow, hang, judge
from lvs_ros.node.drop_counter import DropCounter
from lvs_ros.node.listeners import Pause
from lvs_ros.node.outputs import Outputs, status_message
from lvs_ros.node.parameters import NodeParameters
from lvs_ros.node.periodic_thread import PeriodicThread
from lvs_ros.node.refusing_lifecycle_node import RefusingLifecycleNode
from lvs_ros.node.serialized_images import (ReceivedImage, SerializedHeader,
                                            read_compressed_image, read_image)
from lvs_ros.node.stamp_age import stamp_age
from lvs_ros.node.watchdog import Watchdog
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import build_pipeline
from lvs_ros.pipeline.frame import Frame, RefinedMask, StepResult, StepStatus
from lvs_ros.pipeline.jpeg import check_decoder
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.program_settings import uncollected
from lvs_ros.shared_memory import image_warning
from lvs_ros.warning_texts import warnings_passed_to

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
_CHECK_S = 1.0    # longest period of the checks for a call that does not return
PipelineFactory = Callable[[PipelineOptions], SegmentationPipeline]


class SegmentationNode(RefusingLifecycleNode):
    """Segment a stream of images.

    All callbacks run one after another in the executor's thread: a frame is processed in its
    subscription callback, and with a queue of one the next callback gets the newest frame. The
    diagnostics have a thread of their own, which no network blocks.

    :param name: name of the node.
    :param pipeline_factory: makes the pipeline on configuring.
    :param watchdog: ends this process where frames have stopped; None = nothing does.
    :param node_arguments: passed on to rclpy, as ``context`` or ``parameter_overrides``.
    :raises ConfigurationError: a parameter has a wrong start-up value.
    """

    def __init__(self, name: str = 'lvs', *, pipeline_factory: PipelineFactory = build_pipeline,
                 watchdog: Watchdog | None = None, **node_arguments: Any) -> None:
        super().__init__(name, automatically_declare_parameters_from_overrides=True,
                         **node_arguments)
        self._pipeline_factory, self._watchdog = pipeline_factory, watchdog
        self._supervisor: PeriodicThread | None = None
        self._pipeline: SegmentationPipeline | None = None
        self._outputs: Outputs | None = None
        self._subscription: Any = None
        self._unseen = contextlib.ExitStack()    # closed: the garbage collector sees it all
        self._read: Callable[[bytes], ReceivedImage] = read_image
        self._drops, self._window = DropCounter(), FrameWindow()
        self._pause = Pause(self.get_logger().info)
        self._last_status: StepStatus | None = None
        self._image_size: tuple[int, int] | None = None    # of the last frame with a mask
        self._last_malformed: str | None = None
        self._last_failure: str | None = None
        self._transition_error: str | None = None
        self._is_shut_down = False
        self._frame_start_s: float | None = None    # of the one in work, by the steady clock
        self._newest: SerializedHeader | None = None    # of the newest image
        self._refined: RefinedMask | None = None    # that is to be published
        self.transition_failure: Exception | None = None
        """Why the last transition failed."""
        self._clock_problem: str | None = None
        self._forecast = ''    # of the last frame, for the diagnostics
        self.parameters = NodeParameters(self, self._on_parameters_changed)
        for text in self.parameters.unknown:
            self.get_logger().warning(f'there is no parameter {text}; its value is ignored')
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self._refined_came = self.create_guard_condition(self._on_refined)
        period_s = self.parameters.node.diagnostics_period_s
        self._diagnostics_due_s = time.monotonic() + period_s
        self._check_period_s = min(_CHECK_S, (self.parameters.node.watchdog_s or math.inf) / 4)
        if watchdog is not None:
            # A steady clock: simulated time may stand still.
            self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
            self.create_timer(self._check_period_s, watchdog.progressed, clock=self._steady_clock)
        self._supervisor = PeriodicThread(
            self._supervise, period_s=min(period_s, self._check_period_s), name='lvs_supervisor')

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

    # The lifecycle. rclpy drops the text of an exception in a transition: log it.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, create the publishers, run the network once."""
        self._transition_error = None
        try:
            with warnings_passed_to(self.get_logger().warning):
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
        """Release everything that configuring acquired."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Shut down, from any state."""
        self._is_shut_down = True
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Become unconfigured, ready for another try."""
        self._release()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """Stop the slow track and take the node off the graph."""
        if self._supervisor is not None:    # the constructor has finished
            self._supervisor.stop()
        self._release()
        super().destroy_node()

    def _configure(self) -> None:
        options = self.parameters.pipeline
        self._pipeline = self._pipeline_factory(options)
        label_set = self._load_labels(self._pipeline)
        self._outputs = Outputs(self, label_set, self.parameters.node)
        width, height = self.parameters.node.warm_up_size
        seen = f'inference_size {options.inference_size}'
        if width and height:
            self._pipeline.warm_up(width, height)
            seen = (f'images of {width}x{height} seen at '
                    + self._pipeline.inference_size.describe(width, height))
        too_large = image_warning(os.environ, width, height)
        if too_large is not None:
            self.get_logger().warning(too_large)
        self.get_logger().info(
            f'model {options.model} on {self._pipeline.device} '
            f'({self._pipeline.executor.description}), labels {label_set.name} '
            f'({len(label_set)} classes), schedule {options.schedule}, '
            f'threshold {options.threshold:g}, {seen}')

    def _load_labels(self, pipeline: SegmentationPipeline) -> LabelSet:
        name = self.parameters.node.labels
        try:
            return pipeline.config.labels_as(load_label_set(name) if name else None)
        except LabelSetError as error:
            raise ConfigurationError(f'labels: {error}') from error

    def _activate(self) -> None:
        assert self._outputs is not None
        self._window, self._drops = FrameWindow(), DropCounter()
        self._last_status = self._clock_problem = self._image_size = None
        self._last_malformed = self._last_failure = None
        self._forecast = ''
        compressed = self.parameters.node.input_transport == 'compressed'
        if compressed:
            check_decoder()
        self._read = functools.partial(read_compressed_image if compressed else read_image,
                                       max_pixels=self.parameters.node.max_pixels)
        with qos.overrides_checked():
            self._subscription = self.create_subscription(
                CompressedImage if compressed else Image,
                'image_raw/compressed' if compressed else 'image_raw',
                self._on_image, qos.image_input(), qos_overriding_options=qos.overridable(),
                raw=True)
        if self._watchdog is not None:
            self._watchdog.watch(self._subscription, self.parameters.node.watchdog_s)
        self._outputs.publish_label_info()
        self._unseen.enter_context(uncollected())    # what is there by now stays
        self.get_logger().info(f'waiting for images on {self._subscription.topic_name}')

    def _unsubscribe(self) -> None:
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._outputs is not None:
            self._outputs.camera_info.unsubscribe()
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None

    def _release(self) -> None:
        self._unseen.close()
        self._unsubscribe()
        if self._outputs is not None:
            self._outputs.destroy()
            self._outputs = None
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.close()

    def _log_failure(self, action: str, error: Exception) -> None:
        if not self.context.ok():  # shutting down: nothing can be created any more
            return
        self.transition_failure = error
        kind = '' if isinstance(error, LvsError) else f'{type(error).__name__}: '
        self._transition_error = f'cannot {action}: {kind}{error}'
        self.get_logger().error(self._transition_error)

    # Frames.

    def _on_image(self, cdr: bytes, info: Mapping[str, Any]) -> None:
        if not self.is_active:  # taken just before the subscription was destroyed
            return
        started_s = time.perf_counter()
        self._frame_start_s = time.monotonic()
        if self._watchdog is not None:
            self._watchdog.frame_begins()
        try:
            self._process(cdr, info, started_s=started_s)
        except DeviceLostError:
            raise
        except ImageError as error:
            self._last_malformed = str(error)
            self.get_logger().warning(f'malformed image dropped: {error}',
                                      throttle_duration_sec=1.0)
            self._count(info, malformed=True)
        except Exception as error:
            self._tell_failed(error)
            self._count(info, failed=True)
        finally:
            self._frame_start_s = None
            if self._watchdog is not None:
                self._watchdog.progressed()

    def lose_frame(self, error: Exception) -> None:
        """Count a frame whose message could not be taken from the middleware.

        :param error: why, for example a MemoryError.
        """
        if self.is_active:
            self._tell_failed(error)
            self._drops.failed_to_arrive()
            self._window.add(FrameRecord(time_s=time.monotonic(), failed=True))

    def _tell_failed(self, error: Exception) -> None:
        self._last_failure = one_line(error)
        self._log_unexpected('frame dropped', error)

    def _process(self, cdr: bytes, info: Mapping[str, Any], *, started_s: float) -> None:
        """Publish the mask before anything else: its subscribers do not wait for the status."""
        assert self._outputs is not None and self._pipeline is not None
        if self._pause.is_due(wanted=self.parameters.node.pause_without_subscribers,
                              outputs=self._outputs, reset=self._pipeline.reset):
            self._count(info, paused=True)
            return
        received = self._read(cdr)
        self._newest = received.header
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
        self._note_size(received.frame.size)
        try:
            self._look_ahead(received, result)
        except Exception as error:  # the mask is out
            self._log_unexpected('forecast not published', error)
        try:
            status = status_message(
                received.header, result.status, latency_ms=age.latency_ms, stale=stale,
                publish_ms=1e3 * (published_s - publish_start_s),
                frames_received=self._window.totals.received,
                frames_dropped=self._window.totals.dropped)
            self._outputs.publish_rest(received, result, status)
        except Exception as error:  # the mask is out: the frame is not lost
            self._log_unexpected('status, confidence or overlay not published', error)

    def _look_ahead(self, received: ReceivedImage, result: StepResult) -> None:
        """Publish the forecast where it has subscribers; else nothing is computed."""
        assert self._pipeline is not None and self._outputs is not None
        self._forecast = ''
        if not self._outputs.wants_forecast:
            return
        forecast = self._pipeline.forecast(received.frame, result)
        self._outputs.publish_forecast(received, forecast)
        if forecast.unmoved is None:
            self._forecast = f'{(forecast.stamp_ns - received.frame.stamp_ns) / 1e6:.1f} ms ahead'
        else:
            self._forecast = f'none: {forecast.unmoved}'
            self.get_logger().info(f'the forecast is the mask as it is: {forecast.unmoved}',
                                   throttle_duration_sec=10.0)

    def _count(self, info: Mapping[str, Any], **what_became_of_it: Any) -> None:
        """Take note of a received frame, and of those lost before it."""
        lost = self._drops.update_from_info(info)
        self._window.add(FrameRecord(time_s=time.monotonic(), lost=lost, **what_became_of_it))

    def _segment(self, frame: Frame) -> StepResult:
        assert self._pipeline is not None and self._outputs is not None
        self._pipeline.on_refined = self._hand_over if self._outputs.wants_refined else None
        try:
            return self._pipeline.step(frame, want_confidence=self._outputs.wants_confidence)
        except ImageError:  # the pipeline is as it was
            raise
        except Exception as error:
            lasting = self._pipeline.lasting_error()
            if lasting is not None:
                raise DeviceLostError(
                    f'the device {self._pipeline.device} computes nothing any more in this '
                    f'process ({lasting}); the process ends, and can be started again') from error
            self._pipeline.reset()  # its state is unknown
            raise

    def _hand_over(self, refined: RefinedMask) -> None:
        """Have a refined mask published by the thread of the callbacks; for the worker's."""
        self._refined = refined
        self._refined_came.trigger()

    def _on_refined(self) -> None:
        """Publish a refined mask, unless a newer image has come."""
        refined, self._refined = self._refined, None
        if (refined is not None and self._newest is not None and self._outputs is not None
                and self._newest.stamp_ns == refined.stamp_ns):
            self._outputs.publish_refined(self._newest, refined.mask)

    def _note(self, status: StepStatus, clock_problem: str | None) -> None:
        """Store what the diagnostics report, and log single events."""
        self._last_status = status
        if status.reset_reason is not None:
            self.get_logger().info(f'starting again from a new key frame: {status.reset_reason}',
                                   throttle_duration_sec=1.0)
        if clock_problem is not None and self._clock_problem is None:
            self.get_logger().warning(f'latencies are not known: {clock_problem}',
                                      throttle_duration_sec=10.0)
        self._clock_problem = clock_problem

    def _note_size(self, size: tuple[int, int]) -> None:
        if size != self._image_size:
            self._image_size = size
            self.get_logger().info(f'images of {size[0]}x{size[1]} pixels; the network sees them '
                                   f'at {self._inference_size()}')

    def _inference_size(self) -> str:
        """Say at what size the network sees the images, and how to change that."""
        if self._pipeline is None or self._image_size is None:
            return self.parameters.pipeline.inference_size
        return self._pipeline.inference_size.describe(*self._image_size)

    def _log_unexpected(self, what: str, error: Exception) -> None:
        if not self.context.ok():  # shutting down: nothing can be published any more
            return
        if isinstance(error, (LvsError, MemoryError)):    # where it came about does not matter
            self.get_logger().error(f'{what}: {one_line(error)}', throttle_duration_sec=1.0)
        else:
            text = cut(''.join(traceback.format_exception(error)), 5000)
            self.get_logger().error(f'{what}: {text}', throttle_duration_sec=1.0)

    # Everything else that comes from outside.

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._pipeline is None or not self.is_active:
            response.message = f'the node is {self._state_text()}: there is nothing to forget'
            return response
        self._pipeline.reset()
        response.success = True
        response.message = 'the next frame becomes a key frame'
        return response

    def _state_text(self) -> str:
        """Return the state of the life cycle, and why it is no further."""
        label = self._state_machine.current_state[1]
        return f'{label} ({self._transition_error})' if self._transition_error else label

    def _on_parameters_changed(self, changed: Mapping[str, Any]) -> None:
        """Hand the new values to the pipeline, before its next step."""
        names = {field.name for field in dataclasses.fields(PipelineOptions)}
        for name, value in changed.items():
            if name in names and self._pipeline is not None:
                self._pipeline.change(**{name: value})
            self.get_logger().info(f'{name} is {value} now')

    def _supervise(self) -> None:
        """In a thread of its own: whatever the executor's thread does or waits for."""
        if not self.context.ok():
            return
        start_s, now_s = self._frame_start_s, time.monotonic()
        if self._watchdog is not None and start_s is not None \
                and now_s - start_s > self._check_period_s:
            self._watchdog.look_for_debugger()
        period_s = self.parameters.node.diagnostics_period_s
        if now_s >= self._diagnostics_due_s - period_s / 10:    # about as late as it wakes
            self._diagnostics_due_s = max(self._diagnostics_due_s, now_s - period_s) + period_s
            self._publish_diagnostics()

    def _publish_diagnostics(self) -> None:
        try:
            self._diagnostics.publish(self._diagnose())
        except Exception as error:
            self._log_unexpected('diagnostics not published', error)

    def _diagnose(self) -> DiagnosticArray:
        now_s, pipeline = time.monotonic(), self._pipeline
        summary = self._window.summary(now_s)
        condition = self._condition(now_s, pipeline)
        level, message = judge(summary, condition)
        hangs = condition.active and hang(summary, condition) is not None
        if hangs:
            self.get_logger().error(message, throttle_duration_sec=5.0)
        device = '' if pipeline is None else str(pipeline.device)
        values = {
            **stream_values(summary, self._window.totals, window_s=self._window.length_s,
                            losses_known=self._drops.exact),
            **status_values(self._last_status),
            'model': self.parameters.pipeline.model,
            'device': device,
            'execution': '' if pipeline is None else pipeline.executor.description,
            'inference size': self._inference_size(),
            'forecast': self._forecast,
            'camera info': '' if self._outputs is None else self._outputs.camera_info.description,
            **memory_values('' if hangs else device),    # torch may hold a lock on the GPU's
        }
        return diagnostic_array(self.get_clock().now().to_msg(), level=level, message=message,
                                node=self.get_fully_qualified_name(), values=values)

    def _condition(self, now_s: float, pipeline: SegmentationPipeline | None) -> Condition:
        subscription, outputs = self._subscription, self._outputs
        if subscription is None or pipeline is None:
            return Condition(active=False, transition_error=self._transition_error,
                             shut_down=self._is_shut_down)
        topic = subscription.topic_name
        status, last_s, start_s = self._last_status, self._window.last_time_s, self._frame_start_s
        if start_s is not None:
            last_s = now_s    # it has come, and is in work
        types = [one.topic_type for one in self.get_publishers_info_by_topic(topic)]
        expected = f'sensor_msgs/msg/{subscription.msg_type.__name__}'
        return Condition(
            active=True, topic=topic, publishers=types.count(expected),
            foreign_types=sorted(set(types) - {expected}),
            silent_s=None if last_s is None else now_s - last_s,
            slow_track_failures=0 if status is None else status.slow_track_failures,
            slow_track_error=None if status is None else status.slow_track_error,
            slow_track_ms=pipeline.slow_track_ms, slow_track_still_s=pipeline.executor.stalled_s,
            frame_s=0.0 if start_s is None else now_s - start_s,
            watchdog_s=self.parameters.node.watchdog_s if self._watchdog is not None else 0.0,
            clock_problem=self._clock_problem, fallbacks=pipeline.fallbacks,
            paused=self._pause.active,
            camera_info_problem=None if outputs is None else outputs.camera_info.problem,
            last_malformed=self._last_malformed, last_failure=self._last_failure)
