# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pipeline step: one image in, one mask out, and the state that lies between two steps.

Node, replay, evaluation and benchmark all call :meth:`SegmentationPipeline.step`; there is no
second forward path.
"""

import dataclasses
import math
import time
from typing import Any, Callable, Optional

import numpy as np
import torch

from lvs_ros.backends.cuda.streams import own_stream
from lvs_ros.backends.stages import Labels, LowFeatures, Output, Source, Stages
from lvs_ros.checkpoints import checkpoint
from lvs_ros.errors import LvsError, NotFiniteError
from lvs_ros.model import ModelConfig
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.backoff import Backoff
from lvs_ros.pipeline.device_health import lasting_error
from lvs_ros.pipeline.execution import Executor, Job, JobResult
from lvs_ros.pipeline.execution.job import INTERRUPTIONS, compute, refine
from lvs_ros.pipeline.forecast import Forecast, Forecaster
from lvs_ros.pipeline.frame import Frame, RefinedMask, StepResult, StepStatus
from lvs_ros.pipeline.inference_size import InferenceSize
from lvs_ros.pipeline.input import FittedFrame, fit, shares_memory, to_tensor
from lvs_ros.pipeline.key_features import FrameFeatures, KeyFeatures
from lvs_ros.pipeline.optical_flow import OpticalFlow
from lvs_ros.pipeline.schedule import schedule_of
from lvs_ros.pipeline.smoothing import Smoothing
from lvs_ros.pipeline.stopwatch import Stopwatch
from lvs_ros.pipeline.threads import intra_op_threads

_LARGEST_STEP_BACK_NS = 100_000_000    # of stamps: clocks are slewed, and drivers jitter
_WARM_UP_S = 30.0    # at most: where S_h takes longer, its first call costs little beside it


class KeyFrameError(LvsError):
    """S_h failed where there is no key frame yet to propagate from; there is no mask."""


@dataclasses.dataclass(frozen=True)
class _Now:
    """The frame of a step on its way.

    :param image: (1, 3, H, W) uint8 on the device, as the network sees it
    :param features: what is kept if it becomes the key frame
    """

    frame: Frame
    fitted: FittedFrame
    image: torch.Tensor
    features: FrameFeatures


@dataclasses.dataclass(frozen=True)
class _Done:
    """What the executor hands back of a frame.

    :param deviation: None where the schedule asked for none
    :param job: S_h of the frame, to be submitted when its mask is there
    """

    number: int
    labels: Labels
    deviation: Optional[float]
    job: Optional[Job]
    stage_ms: dict[str, float]


class SegmentationPipeline:
    """Labels a stream of images. Not thread-safe: one thread calls it.

    :param config: of the model
    :param options: schedule, sizes and flip averaging; what else they say was for
        :func:`~lvs_ros.pipeline.build.build_pipeline`
    :param stages: of the network
    :param device: where they compute
    :param flow: that the propagation uses, if any
    :param executor: computes frames and S_h; closed with the pipeline
    :param smoothing: improves the logits by those of earlier frames; None = they stay as they are

    :ivar options: as they are now, see :meth:`change`
    :ivar inference_size: at what size the network sees the images
    :ivar on_refined: told, in the worker, a better mask of the newest frame: one of the schedule
        low_latency that became a key frame and whose S_h is done before the next frame; and a
        still better one after flip averaging. None = such masks are not made
    :ivar slow_track_ms: duration of the last S_h that finished; None before the first
    """

    def __init__(self, config: ModelConfig, options: PipelineOptions, *, stages: Stages,
                 device: torch.device, flow: Optional[OpticalFlow], executor: Executor,
                 smoothing: Optional[Smoothing] = None) -> None:
        self.config, self.device = config, device
        self.options, self.executor = options, executor
        self.inference_size = InferenceSize(options.inference_size, config.image_size)
        self.slow_track_ms: Optional[float] = None
        self.on_refined: Optional[Callable[[RefinedMask], None]] = None
        self._stages, self._flow = stages, flow
        self._policy = schedule_of(options)
        self._smoothing = smoothing
        self._forecaster = Forecaster()
        self._state: Optional[KeyFeatures] = None
        self._reset_reason: Optional[str] = None
        self._count = 0
        self._last_stamp_ns: Optional[int] = None    # the largest since time last went back
        self._last_size: Optional[tuple[int, int]] = None
        self._slow_failures = 0
        self._slow_error: Optional[str] = None
        self._backoff = Backoff()

    def change(self, **options: Any) -> None:
        """Change options that are dynamic, from the next step on.

        :param options: threshold, schedule, fixed_interval, max_key_age_frames, forecast_s
        :raises ConfigurationError: for a value that cannot be; nothing has changed then.
        """
        self.options = dataclasses.replace(self.options, **options)
        self._policy = schedule_of(self.options)

    @property
    def fallbacks(self) -> list[str]:
        """What is computed in a slower way than it should be on this device, and why."""
        return list(self._stages.fallbacks)

    def lasting_error(self) -> Optional[str]:
        """Return why this process cannot use the device any more; to be called after an error.

        None = it can; another process is of no use.
        """
        return lasting_error(self.device)

    def __enter__(self) -> 'SegmentationPipeline':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the executor, which restores the settings of the process."""
        self.executor.close()

    def reset(self, reason: str = 'reset requested') -> None:
        """Forget the key frame; the next frame becomes one."""
        if self._state is not None:
            self._reset_reason = reason
        self._state = None
        self._backoff.note_success()
        self._forecaster.reset()
        self.executor.cancel()
        if self._smoothing is not None:
            self._smoothing.reset()

    def warm_up(self, width: int, height: int) -> None:
        """Run every part at this image size, so that no frame meets a first-call cost.

        Graphs are captured of what has run, and then run, too.
        """
        blank = np.zeros((height, width, 3), np.uint8)
        for number in range(4 if self._stages.can_capture else 2):
            frame = Frame(image=blank, stamp_ns=number)
            self.forecast(frame, self.step(frame))
            if self._state is not None:
                self.executor.submit(self.executor.run(lambda: self._run_other_parts(frame)))
            if self._stages.can_capture:
                self.executor.wait(_WARM_UP_S)
        self.executor.wait(_WARM_UP_S)
        self.reset()
        self._reset_reason = self._last_stamp_ns = self._last_size = None
        self._count = 0

    def take_results(self, now_ns: int) -> None:
        """Take what S_h has come to at a stamp, as the next frame would; for the end of a stream.

        A simulated S_h computes only then.
        """
        self.executor.run(lambda: self._take_results(now_ns))

    def step(self, frame: Frame, *, want_confidence: bool = False) -> StepResult:
        """Label one frame.

        :raises ImageError: for a malformed frame; nothing has changed then.
        :raises KeyFrameError: when S_h fails before there was any key frame.
        :raises NotFiniteError: when what was computed is not finite; the key frame is forgotten.
        """
        frame.check()
        start_s = time.perf_counter()
        try:
            done = self.executor.run(lambda: self._compute(frame, start_s, want_confidence))
        except NotFiniteError as error:
            self.reset(f'{error}')    # what is kept may hold the same
            raise
        status = self._status(done, step_ms=(time.perf_counter() - start_s) * 1e3)
        self._count += 1
        if self._stages.needs_capture:
            self.executor.run_between(self._capture)
        if done.job is not None:    # at the very end: the worker takes the cores at once
            self.executor.submit(done.job)
        return StepResult(done.labels.mask, done.labels.confidence, status)

    def forecast(self, frame: Frame, result: StepResult) -> Forecast:
        """Move the labels of the last step to a later time; see the option ``forecast_s``.

        Apart from the step, so that nobody who waits for the mask waits for this, too.

        :param frame: that of the step
        :param result: of the step
        """
        return self.executor.run(
            lambda: self._forecaster.forecast(frame, result, self.options.forecast_s),
            goes_on=True)

    def _capture(self) -> None:
        with own_stream(self.device):
            self._stages.capture()

    @torch.inference_mode()
    def _compute(self, frame: Frame, start_s: float, want_confidence: bool) -> _Done:
        """Label a frame and renew the state. Nothing waits for a GPU before the labels are there.

        But for the deviation where S_h runs in the foreground.
        """
        with own_stream(self.device):
            return self._compute_here(frame, start_s, want_confidence)

    def _compute_here(self, frame: Frame, start_s: float, want_confidence: bool) -> _Done:
        wait_ms = (time.perf_counter() - start_s) * 1e3
        watch = Stopwatch(self.device)
        now = self._begin(frame, watch)
        output = self._output(now, want_confidence)
        self._take_results(frame.stamp_ns)
        watch.lap('slow_track')
        measured = self._measure_deviation(now)
        watch.lap('deviation')
        labels, deviation, job = None, None, None
        if self._state is not None and self._policy.background:
            labels = self._propagate(now, output, watch)
            deviation = self._read(measured)
            if self._becomes_key_frame(now, deviation):
                self._remember(now, self._stages.keep(labels.high), provisional=True)
                job = dataclasses.replace(self._job(now, self._state.key, keeps_image=True),
                                          use=self._use(self._state.key, output))
        else:
            deviation = self._read(measured)
            if self._state is None or self._becomes_key_frame(now, deviation):
                labels = self._label_in_full(now, output, watch)
            if labels is None:
                labels = self._propagate(now, output, watch)
        return _Done(now.features.number, labels, deviation, job,
                     {'wait': wait_ms} | watch.stage_ms())

    def _begin(self, frame: Frame, watch: Stopwatch) -> _Now:
        fitted = fit(frame, size=self.inference_size.of(*frame.size),
                     align_corners=self.config.align_corners)
        image = to_tensor(fitted.frame, device=self.device)
        self._check_continuity(frame)
        watch.lap('input')
        low = self._stages.low(image)
        watch.lap('low')
        grey = None
        if self._flow is not None:
            grey = self._flow.grey(fitted.frame)
            watch.lap('flow')
        return _Now(frame, fitted, image, FrameFeatures(self._count, frame.stamp_ns, low, grey))

    def _output(self, now: _Now, want_confidence: bool) -> Output:
        width, height = (now.fitted.original_size if self.options.output_size == (0, 0)
                         else self.options.output_size)
        output = Output((height, width), now.fitted.content, want_confidence)
        smoothing = self._smoothing
        if smoothing is None:
            return output
        return dataclasses.replace(output, smooth=lambda logits: smoothing.smooth(
            now.fitted.frame, now.image, logits))

    def _check_continuity(self, frame: Frame) -> None:
        stamp_ns = frame.stamp_ns
        if self._last_stamp_ns is not None and stamp_ns < self._last_stamp_ns:
            back_ns = self._last_stamp_ns - stamp_ns
            if back_ns > _LARGEST_STEP_BACK_NS:
                self.reset(f'time went back by {back_ns / 1e9:.3f} s')
            else:    # the next steps count from where this one began, or many would add up
                stamp_ns = self._last_stamp_ns
        if self._last_size is not None and frame.size != self._last_size:
            self.reset('image size changed from {}x{} to {}x{}'.format(
                *self._last_size, *frame.size))
        self._last_stamp_ns, self._last_size = stamp_ns, frame.size

    def _take_results(self, now_ns: int) -> None:
        for result in self.executor.results(now_ns):
            self._note(result)
            if self._state is not None:
                self._state.take(result)

    def _note(self, result: JobResult) -> None:
        if not result.refined:
            self.slow_track_ms = result.duration_ms
        self._slow_error = result.error
        self._slow_failures += result.error is not None
        assert self._last_stamp_ns is not None
        if result.error is None:
            self._backoff.note_success()
        elif not result.refined or self._policy.background:
            # In the foreground the next key frame tries to refine anyway.
            self._backoff.note_failure(self._count, self._last_stamp_ns,
                                       longest=result.refined)

    def _measure_deviation(self, now: _Now) -> Optional[torch.Tensor]:
        if self._state is None or not self._policy.needs_deviation:
            return None
        return self._stages.deviation(self._state.key.low, now.features.low)

    @staticmethod
    def _read(deviation: Optional[torch.Tensor]) -> Optional[float]:
        """Wait for the device."""
        if deviation is None:
            return None
        value = float(deviation)
        if not math.isfinite(value):
            raise NotFiniteError('the deviation is not finite')
        return value

    def _becomes_key_frame(self, now: _Now, deviation: Optional[float]) -> bool:
        assert self._state is not None
        age = now.features.number - self._state.key.number
        wanted = self._policy.is_key_frame(key_age_frames=age, deviation=deviation)
        return self._tries_again(wanted) if self._backoff.failing else wanted

    def _tries_again(self, wanted: bool) -> bool:
        """Whether a frame after a failure of S_h becomes a key frame.

        :param wanted: the schedule would have it
        """
        assert self._last_stamp_ns is not None
        is_due = self._backoff.is_due(self._count, self._last_stamp_ns)
        if self._policy.background:
            return wanted or is_due and not self.executor.busy
        return is_due    # until then no frame waits for what will fail again

    def _propagate(self, now: _Now, output: Output, watch: Stopwatch) -> Labels:
        state, features = self._state, now.features
        assert state is not None
        displacement = None
        if self._flow is not None:
            assert features.grey is not None and state.source.grey is not None
            height, width = features.low.low.shape[2:]
            displacement = self._flow.displacement(
                features.grey, state.source.grey, height=height, width=width)
            watch.lap('flow')
        return self._stages.label(Source(state.source.low.embedding, state.high, displacement),
                                  features.low, output, watch.lap)

    def _label_in_full(self, now: _Now, output: Output, watch: Stopwatch) -> Optional[Labels]:
        """Run S_h at once, and label by what it comes to; None = propagate, for it failed.

        On a GPU, whether F_h is finite is known only with the labels.
        """
        job = self._job(now, now.features)
        with intra_op_threads(self.executor.full_threads):
            results = [compute(job, checks=False, fatal=INTERRUPTIONS)]
            # With a background no frame waits for flip averaging: neither does the first one.
            if job.refine and results[0].high is not None and not self._policy.background:
                results.append(refine(results[0], checks=False, fatal=INTERRUPTIONS))
        labels, problem = None, None
        for index in reversed(range(len(results))):    # the refined one first
            high = results[index].high
            if high is None or labels is not None:
                continue
            try:
                labels = self._stages.label_in_full(high, now.features.low, output, watch.lap)
            except NotFiniteError as error:
                if self._smoothing is not None:
                    self._smoothing.reset()
                problem = error
                results[index] = results[index].as_failed(str(error))
            else:
                self._remember(now, high, provisional=False)
        for result in results:
            self._note(result)
        if labels is None and self._state is None:
            raise problem or KeyFrameError(
                f'the first frame could not be computed: {results[0].error}')
        return labels

    def _job(self, now: _Now, features: FrameFeatures, *, keeps_image: bool = False) -> Job:
        """Return S_h of a frame.

        :param features: those of the frame, as they are known to the state
        :param keeps_image: it runs when the memory of the frame is not ours any more
        """
        stages, image = self._stages, now.image
        if not self.options.flip_averaging:
            return Job(features, features.stamp_ns, lambda: stages.high(features.low.low))
        if keeps_image and shares_memory(image, now.frame):
            image = image.clone()
        return Job(features, features.stamp_ns, lambda: stages.high(features.low.low),
                   lambda high: stages.refine(high, image))

    def _use(self, features: FrameFeatures, output: Output
             ) -> Optional[Callable[[torch.Tensor], None]]:
        """Return what labels a frame once more, by F_h of its own, if that is wanted."""
        on_refined = self.on_refined
        output = dataclasses.replace(output, want_confidence=False)

        def use(high: torch.Tensor) -> None:
            checkpoint()
            labels = self._stages.label_in_full(high, features.low, output, lambda name: None)
            if on_refined is not None and features.number == self._count - 1:
                on_refined(RefinedMask(features.stamp_ns, labels.mask))
        return None if on_refined is None else use

    def _remember(self, now: _Now, high: torch.Tensor, *, provisional: bool) -> None:
        """Make a frame the key frame.

        :param high: of :meth:`Stages.keep`, or a result of S_h
        """
        low, keep = now.features.low, self._stages.keep
        features = dataclasses.replace(now.features, low=LowFeatures(
            keep(low.low), *(None if one is None else keep(one)
                             for one in (low.embedding, low.detail))))
        self._state = KeyFeatures(features, features, high, provisional)

    @torch.inference_mode()
    def _run_other_parts(self, frame: Frame) -> Job:
        """Run what a first frame does not reach, whatever the schedule; return a job for S_h."""
        assert self._state is not None
        watch = Stopwatch(self.device)
        with own_stream(self.device):
            now = self._begin(frame, watch)
            self._stages.deviation(self._state.key.low, now.features.low)
            self._propagate(now, self._output(now, False), watch)
        return self._job(now, self._state.key, keeps_image=True)

    def _status(self, done: _Done, *, step_ms: float) -> StepStatus:
        assert self._state is not None
        key = self._state.key
        reason, self._reset_reason = self._reset_reason, None
        return StepStatus(
            schedule=self.options.schedule, key_frame=key.number == done.number,
            key_stamp_ns=key.stamp_ns, key_age_frames=done.number - key.number,
            key_provisional=self._state.awaits_key_frame,
            deviation=done.deviation, threshold=self.options.threshold,
            slow_track_busy=done.job is not None or self.executor.busy,
            slow_track_failures=self._slow_failures,
            slow_track_error=self._slow_error, slow_track_ms=self.slow_track_ms,
            stage_ms={**done.stage_ms, 'rest': step_ms - sum(done.stage_ms.values()),
                      **dict.fromkeys(self._stages.untold, math.nan)},
            reset_reason=reason)
