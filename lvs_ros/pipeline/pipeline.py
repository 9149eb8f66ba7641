# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pipeline step: one image in, one mask out, and the state that lies between two steps.

Node, replay and evaluation all call :meth:`SegmentationPipeline.step`; there is no second
forward path.
"""

import dataclasses
import math
import time
from typing import Any, Callable, Iterator, Optional

import numpy as np
import torch

from lvs_ros.errors import LvsError, NotFiniteError
from lvs_ros.model import SegmentationNetwork
from lvs_ros.model.finite import first_not_finite
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.backoff import Backoff
from lvs_ros.pipeline.calling_thread import CallingThread, FrameRunner
from lvs_ros.pipeline.device_health import lasting_error
from lvs_ros.pipeline.frame import Frame, StepResult, StepStatus
from lvs_ros.pipeline.inference_size import AUTO, InferenceSize
from lvs_ros.pipeline.input import FittedFrame, fit, shares_memory, to_tensor
from lvs_ros.pipeline.output import label_map
from lvs_ros.pipeline.propagation import Propagation
from lvs_ros.pipeline.schedule import schedule_of
from lvs_ros.pipeline.slow_track import (INTERRUPTIONS, NOT_FINITE, SlowJob, SlowResult, SlowTrack,
                                         as_failed, first_pass, refine_here, run_job)
from lvs_ros.pipeline.smoothing import Smoothing
from lvs_ros.pipeline.stopwatch import Stopwatch
from lvs_ros.pipeline.threads import intra_op_threads


_LARGEST_STEP_BACK_NS = 100_000_000    # of stamps: clocks are slewed, and drivers jitter
Labels = tuple[np.ndarray, Optional[np.ndarray]]    # mask and confidence


class KeyFrameError(LvsError):
    """S_h failed where there is no key frame yet to propagate from; there is no mask."""


@dataclasses.dataclass(frozen=True)
class KeyFrame:
    """What deviation is measured against.

    :param number: number of the frame in the stream
    :param low: (1, C_l, h, w), F_l^k
    """

    number: int
    stamp_ns: int
    low: torch.Tensor


@dataclasses.dataclass(frozen=True)
class Source:
    """What is propagated.

    Its frame is the key frame, but for one case: when S_h of an older key frame finishes while
    that of the newer one is still to come, the newly computed features replace the provisional
    ones, which had been propagated from still older features. The key frame, and with it the
    deviation, stays as it is.

    :param description: the propagation's description of the frame
    :param high: (1, C_h, h, w), its F_h
    :param provisional: F_h was itself propagated
    """

    number: int
    description: Any
    high: torch.Tensor
    provisional: bool


@dataclasses.dataclass
class _State:
    key: KeyFrame
    source: Source


@dataclasses.dataclass(frozen=True)
class _Features:
    """A frame on its way through the step."""

    number: int
    stamp_ns: int
    image: torch.Tensor
    low: torch.Tensor
    description: Any

    def job(self, *, copies_image: bool = False) -> SlowJob:
        """What S_h needs of it."""
        return SlowJob(self.number, self.stamp_ns,
                       self.image.clone() if copies_image else self.image, self.low,
                       self.description)


class SegmentationPipeline:
    """Labels a stream of images. Not thread-safe: one thread calls it.

    :param network: in evaluation mode, on its device
    :param propagation: how features are moved between frames
    :param slow_track: runs S_h; closed with the pipeline
    :param settings: schedule and threshold
    :param inference_size: at what size the network sees the images, see
        :class:`~lvs_ros.pipeline.inference_size.InferenceSize`
    :param output_size: (width, height) of the masks; (0, 0) = the image's own
    :param full_threads: CPU threads for frames that are computed in full, which have nothing
        beside them to share the cores with; 0 = as many as for all others
    :param runner: computes the frames; closed with the pipeline. None = the calling thread does
    :param rehearse: it runs S_l and the deviation net on an empty image before each frame that it
        expects, if it can
    :param mirror: frames that are computed in full are refined by their mirror images, unless
        the schedule has a background, where that is the slow track's to do
    :param smoothing: improves the logits by those of earlier frames; None = they stay as they are
    """

    def __init__(self, network: SegmentationNetwork, *, propagation: Propagation,
                 slow_track: SlowTrack, settings: PipelineOptions,
                 inference_size: str = AUTO,
                 output_size: tuple[int, int] = (0, 0), full_threads: int = 0,
                 runner: Optional[FrameRunner] = None, rehearse: bool = False,
                 mirror: bool = False, smoothing: Optional[Smoothing] = None) -> None:
        self._network = network
        self._device = next(network.parameters()).device
        self._propagation = propagation
        self._slow_track = slow_track
        self._settings = settings
        self._policy = schedule_of(settings)
        self._inference_size = InferenceSize(inference_size, network.config.image_size)
        self._output_size = output_size
        self._full_threads = full_threads
        self._runner: FrameRunner = runner or CallingThread()
        self._mirror = mirror
        self._smoothing = smoothing
        self._state: Optional[_State] = None
        self._reset_reason: Optional[str] = None
        self._count = 0
        self._last_stamp_ns: Optional[int] = None    # the largest since time last went back
        self._last_size: Optional[tuple[int, int]] = None
        self._slow_ms: Optional[float] = None
        self._slow_failures = 0
        self._slow_error: Optional[str] = None
        self._backoff = Backoff()
        self._image_shape: Optional[torch.Size] = None    # of the last frame's tensor
        if rehearse:
            self._runner.rehearse(self._rehearsal)

    @property
    def label_set_name(self) -> str:
        """Name of the label set that the model was trained for."""
        return self._network.config.label_set

    @property
    def num_classes(self) -> int:
        """Number of classes of the model."""
        return self._network.config.classes

    @property
    def inference_size(self) -> InferenceSize:
        """At what size the network sees the images."""
        return self._inference_size

    @property
    def device(self) -> str:
        """Where the network runs, as torch names it."""
        return str(self._device)

    @property
    def cpu_threads(self) -> int:
        """Threads that a frame has on a CPU."""
        return self._runner.frame_threads or torch.get_num_threads()

    @property
    def threshold(self) -> float:
        """Deviation above which a frame becomes a key frame, 0..1; takes effect at once.

        :raises ConfigurationError: when set to anything else.
        """
        return self._settings.threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._change(threshold=value)

    @property
    def schedule(self) -> str:
        """Name of the schedule; takes effect at once."""
        return self._settings.schedule

    @schedule.setter
    def schedule(self, value: str) -> None:
        self._change(schedule=value)

    @property
    def fixed_interval(self) -> int:
        """Frames from key frame to key frame of the fixed schedule; takes effect at once."""
        return self._settings.fixed_interval

    @fixed_interval.setter
    def fixed_interval(self, value: int) -> None:
        self._change(fixed_interval=value)

    @property
    def max_key_age_frames(self) -> int:
        """A key frame at the latest after so many frames; 0 = no limit. Takes effect at once."""
        return self._settings.max_key_age_frames

    @max_key_age_frames.setter
    def max_key_age_frames(self, value: int) -> None:
        self._change(max_key_age_frames=value)

    def _change(self, **changes: Any) -> None:
        self._settings = dataclasses.replace(self._settings, **changes)
        self._policy = schedule_of(self._settings)

    @property
    def slow_track_still_s(self) -> float:
        """Seconds since S_h in the background last made a step; 0 where it has nothing to do.

        This and :attr:`slow_track_ms` may be read by any thread at any time.
        """
        return self._slow_track.still_s

    @property
    def slow_track_ms(self) -> Optional[float]:
        """Duration of the last finished S_h; None before the first."""
        return self._slow_ms

    def lasting_error(self) -> Optional[str]:
        """Return why the device cannot be used any more; to be called after an error of a step.

        None = it can; another process is of no use.
        """
        return lasting_error(self._device)

    def __enter__(self) -> 'SegmentationPipeline':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the slow track."""
        self._runner.close()
        self._slow_track.close()

    def reset(self, reason: str = 'reset requested') -> None:
        """Forget the key frame; the next frame becomes one."""
        if self._state is not None:
            self._reset_reason = reason
        self._state = None
        self._backoff.note_success()
        self._slow_track.reset()
        if self._smoothing is not None:
            self._smoothing.reset()

    def step(self, frame: Frame, *, want_confidence: bool = False) -> StepResult:
        """Label one frame.

        :raises ImageError: for a malformed frame; nothing has changed then.
        :raises KeyFrameError: when S_h fails before there was any key frame.
        :raises NotFiniteError: when what was computed is not finite; the key frame is forgotten.
        """
        frame.check()
        wanted_s = time.perf_counter()
        try:
            result, job = self._runner.frame(
                lambda: self._compute_step(frame, wanted_s, want_confidence))
        except NotFiniteError as error:
            self.reset(f'{error}')    # what is kept may hold the same
            raise
        if job is not None:    # not before the mask is there: S_h's thread wakes up at once
            self._slow_track.submit(job)
        return _with_rest(result, step_ms=(time.perf_counter() - wanted_s) * 1e3)

    @torch.inference_mode()
    def _compute_step(self, frame: Frame, wanted_s: float, want_confidence: bool
                      ) -> tuple[StepResult, Optional[SlowJob]]:
        wait_ms = (time.perf_counter() - wanted_s) * 1e3
        watch = Stopwatch(self._device)
        fitted = self._fit(frame)
        image = to_tensor(fitted.frame, device=self._device)
        self._check_continuity(frame)
        watch.lap('input')
        self._image_shape = image.shape
        low = self._network.low(image)
        features = _Features(self._count, frame.stamp_ns, image, low,
                             self._propagation.describe(fitted.frame, low))
        watch.lap('low')
        self._take_results(frame.stamp_ns)
        watch.lap('slow_track')
        deviation, key_frame = self._decide(features)
        watch.lap('deviation')

        def label(high: torch.Tensor) -> Labels:
            return self._label(fitted, features, high, watch, want_confidence)

        labels, provisional = None, False
        if self._state is None or (key_frame and not self._policy.background):
            labels = self._label_in_full(features, label)
        if labels is None:
            high = self._propagate(features)
            labels = label(high)
            provisional = key_frame and self._policy.background
        mask, confidence = labels
        job = None
        if provisional:
            self._remember(features, high, provisional=True)
            # The frame's memory is ours for this step only; its refinement needs the image later.
            job = features.job(copies_image=self._mirror and shares_memory(image, frame))
        status = self._status(features, deviation, {'wait': wait_ms} | watch.stage_ms(),
                              busy=job is not None)
        self._count += 1
        return StepResult(mask=mask, confidence=confidence, status=status), job

    def _label(self, fitted: FittedFrame, features: _Features, high: torch.Tensor,
               watch: Stopwatch, want_confidence: bool) -> Labels:
        """From F_h to mask and confidence.

        The check of the logits is one of F_h, too: the classifier reads every channel at every
        position. What is propagated is therefore always finite: it has been checked like this in
        its own frame, or by the slow track.

        :raises NotFiniteError: telling the first of F_l, F_h and logits that is not finite.
        """
        watch.lap('propagation')
        logits = self._network.classify(high)
        if self._smoothing is not None:
            logits = self._smoothing.smooth(fitted.frame, features.image, logits)
        watch.lap('classify')
        width, height = (fitted.original_size if self._output_size == (0, 0)
                         else self._output_size)
        try:
            labels = label_map(
                logits, size=(height, width), content=fitted.content,
                align_corners=self._network.config.align_corners, want_confidence=want_confidence)
        except NotFiniteError:
            if self._smoothing is not None:
                self._smoothing.reset()
            name = first_not_finite({'F_l': features.low, 'F_h': high})
            raise NotFiniteError(NOT_FINITE if name == 'F_h' else
                                 f'{name or "a logit"} is not finite') from None
        watch.lap('output')
        return labels

    def warm_up(self, width: int, height: int) -> None:
        """Run every part once at this image size, so that no frame meets a first-call cost."""
        blank, job = np.zeros((height, width, 3), np.uint8), None
        for number in range(2):
            frame = Frame(image=blank, stamp_ns=number)
            self.step(frame)
            if self._state is not None:
                job = self._runner.frame(lambda: self._warm_up_the_rest(frame))
        if job is not None:
            self._slow_track.warm_up(job)
        self.reset()
        self._reset_reason = self._last_stamp_ns = self._last_size = None
        self._count = 0

    @torch.inference_mode()
    def _warm_up_the_rest(self, frame: Frame) -> SlowJob:
        """Run what a first frame does not reach, whatever the schedule; return a job for S_h."""
        assert self._state is not None
        low, source = self._state.key.low, self._state.source
        self._network.deviation(low, low)
        self._propagation.move(source.description, source.description, source.high, low)
        image = to_tensor(self._fit(frame).frame, device=self._device)
        return SlowJob(source.number, frame.stamp_ns, image, low, source.description)

    @torch.inference_mode()
    def _rehearsal(self) -> Iterator[None]:
        if self._image_shape is not None:
            blank = torch.zeros(self._image_shape, dtype=torch.uint8)
            low = yield from self._network.low_steps(
                blank.contiguous(memory_format=torch.channels_last))
            yield
            self._network.deviation(low, low)

    def _fit(self, frame: Frame) -> FittedFrame:
        return fit(frame, size=self._inference_size.of(*frame.size),
                   align_corners=self._network.config.align_corners)

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
        for result in self._slow_track.poll(now_ns):
            self._note(result)
            state, job = self._state, result.job
            if result.high is None or state is None:
                continue
            # The newest computed features win over older ones and over propagated ones. A late
            # result replaces no features of its own or a newer frame that were computed, unless
            # it refines them.
            computed = not state.source.provisional
            refines = result.refined and job.number == state.source.number
            if refines or job.number == state.key.number or not (
                    computed and state.source.number >= job.number):
                state.source = Source(job.number, job.description, result.high,
                                      provisional=False)

    def _note(self, result: SlowResult) -> None:
        if not result.refined:
            self._slow_ms = result.duration_ms
        self._slow_error = result.error
        self._slow_failures += result.error is not None
        assert self._last_stamp_ns is not None
        if result.error is None:
            self._backoff.note_success()
        elif not result.refined or self._policy.background:
            # In the foreground the next key frame tries to refine anyway.
            self._backoff.note_failure(self._count, self._last_stamp_ns,
                                       longest=result.refined)

    def _decide(self, features: _Features) -> tuple[Optional[float], bool]:
        if self._state is None:
            return None, True
        key = self._state.key
        deviation = None
        if self._policy.needs_deviation:
            deviation = float(self._network.deviation(key.low, features.low))
            if not math.isfinite(deviation):
                raise NotFiniteError('the deviation is not finite')
        wanted = self._policy.is_key_frame(
            key_age_frames=features.number - key.number, deviation=deviation)
        return deviation, self._tries_again(wanted) if self._backoff.failing else wanted

    def _tries_again(self, wanted: bool) -> bool:
        """Whether a frame after a failure of S_h becomes a key frame.

        :param wanted: the schedule would have it
        """
        assert self._last_stamp_ns is not None
        is_due = self._backoff.is_due(self._count, self._last_stamp_ns)
        if self._policy.background:
            return wanted or is_due and not self._slow_track.busy
        return is_due    # until then no frame waits for what will fail again

    def _propagate(self, features: _Features) -> torch.Tensor:
        assert self._state is not None
        source = self._state.source
        return self._propagation.move(
            source.description, features.description, source.high, features.low)

    def _label_in_full(self, features: _Features, label: Callable[[torch.Tensor], Labels]
                       ) -> Optional[Labels]:
        """Run S_h at once, and label by what it comes to; None = propagate, for it failed.

        On a GPU, whether F_h is finite is known only with the labels.

        :param label: from F_h to labels
        """
        with intra_op_threads(self._full_threads):
            result = run_job(features.job(), first_pass(self._network.high_steps), checks=False,
                             fatal=INTERRUPTIONS)
            assert result is not None
            results = [result]
            # With a background no frame waits for that: neither does the first one.
            if self._mirror and result.high is not None and not self._policy.background:
                results.append(refine_here(result, self._network.refine_steps, checks=False))
        labels, problem = None, None
        for index in reversed(range(len(results))):    # the refined one first
            high = results[index].high
            if high is None or labels is not None:
                continue
            try:
                labels = label(high)
            except NotFiniteError as error:
                problem = error
                results[index] = as_failed(results[index], str(error))
            else:
                self._remember(features, high, provisional=False)
        for result in results:
            self._note(result)
        if labels is None and self._state is None:
            raise problem or KeyFrameError(
                f'the first frame could not be computed: {results[0].error}')
        return labels

    def _remember(self, features: _Features, high: torch.Tensor, *, provisional: bool) -> None:
        self._state = _State(
            key=KeyFrame(features.number, features.stamp_ns, features.low),
            source=Source(features.number, features.description, high, provisional))

    def _status(self, features: _Features, deviation: Optional[float],
                stage_ms: dict[str, float], *, busy: bool) -> StepStatus:
        assert self._state is not None
        key, source = self._state.key, self._state.source
        reason, self._reset_reason = self._reset_reason, None
        return StepStatus(
            schedule=self._settings.schedule, key_frame=key.number == features.number,
            key_stamp_ns=key.stamp_ns, key_age_frames=features.number - key.number,
            key_provisional=source.provisional or source.number != key.number,
            deviation=deviation, threshold=self.threshold,
            slow_track_busy=busy or self._slow_track.busy,
            slow_track_failures=self._slow_failures,
            slow_track_error=self._slow_error, slow_track_ms=self._slow_ms,
            stage_ms=stage_ms, reset_reason=reason)


def _with_rest(result: StepResult, *, step_ms: float) -> StepResult:
    """Tell what the whole step took besides its stages, which is known only at its end."""
    stage_ms = result.status.stage_ms
    status = dataclasses.replace(
        result.status, stage_ms={**stage_ms, 'rest': step_ms - sum(stage_ms.values())})
    return dataclasses.replace(result, status=status)
