# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pipeline step: state, late results, resets and failures."""

import dataclasses
import pathlib
import threading
import time
from typing import Any, Callable

import numpy as np
import pytest
import torch

from lvs_ros.backends.cpu.library import kernels
from lvs_ros.errors import ConfigurationError, ImageError, ModelFileError
from lvs_ros.model import VARIANTS, SegmentationNetwork, load_network, save_network
from lvs_ros.model.steps import Steps
from lvs_ros.pipeline import (SCHEDULES, Frame, KeyFrameError, PipelineOptions,
                              ScheduleSettings, SegmentationPipeline, build_pipeline)
from lvs_ros.pipeline.build import assemble, prepare
from lvs_ros.pipeline.calling_thread import CallingThread
from lvs_ros.pipeline.frame import CHANNELS
from lvs_ros.pipeline.input import fit, shares_memory, to_tensor
from lvs_ros.pipeline.lane import Lane
from lvs_ros.pipeline.output import label_map
from lvs_ros.pipeline.propagation import FrameDescription, SpatiallyVariantPropagation
from lvs_ros.pipeline.slow_track import HighSteps, SlowJob, SlowResult, SlowTrack, run_job
from lvs_ros.pipeline.threads import core_numbers

FRAME_NS = 66_666_667


class ManualSlowTrack(SlowTrack):
    """Keeps the jobs; the test says when which of them is done."""

    def __init__(self, high: HighSteps) -> None:
        self.high = high
        self.jobs: list[SlowJob] = []
        self.done: list[SlowResult] = []
        self.warmed_up: list[SlowJob] = []

    def submit(self, job: SlowJob) -> None:
        self.jobs.append(job)

    def warm_up(self, job: SlowJob) -> None:
        self.warmed_up.append(job)

    def finish(self, number: int, error: str | None = None) -> SlowResult:
        job = next(job for job in self.jobs if job.number == number)
        result = run_job(job, lambda one: self.high(one.low))
        assert result is not None
        if error is not None:
            result = SlowResult(job, None, error, 1.0)
        self.done.append(result)
        return result

    def refine(self, result: SlowResult) -> SlowResult:
        assert result.high is not None
        self.done.append(dataclasses.replace(result, high=result.high * 2, duration_ms=1e6,
                                             refined=True))
        return self.done[-1]

    def poll(self, now_ns: int) -> list[SlowResult]:
        done, self.done = self.done, []
        return done

    @property
    def busy(self) -> bool:
        return bool(self.jobs)

    def reset(self) -> None:
        self.jobs.clear()
        self.done.clear()

    def close(self) -> None:
        self.reset()


class RecordingPropagation(SpatiallyVariantPropagation):
    """Notes which features were moved."""

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__(network)
        self.moved: list[torch.Tensor] = []

    def move(self, source: FrameDescription, target: FrameDescription, high: torch.Tensor,
             low: torch.Tensor) -> torch.Tensor:
        self.moved.append(high)
        return super().move(source, target, high, low)


@pytest.fixture
def network() -> SegmentationNetwork:
    torch.manual_seed(0)
    return SegmentationNetwork(VARIANTS['tiny']('camvid', 11)).eval()


def make(network: SegmentationNetwork, schedule: str = 'low_latency', threshold: float = 0.0,
         **options: Any
         ) -> tuple[SegmentationPipeline, ManualSlowTrack, RecordingPropagation]:
    track = ManualSlowTrack(network.high_steps)
    propagation = RecordingPropagation(network)
    pipeline = SegmentationPipeline(
        network, propagation=propagation, slow_track=track,
        settings=ScheduleSettings(schedule, threshold, 5, 0), **options)
    return pipeline, track, propagation


def frame(index: int, size: tuple[int, int] = (48, 32), order: str = 'rgb') -> Frame:
    channels = {'rgb': 3, 'bgr': 3, 'rgba': 4, 'bgra': 4, 'mono': 1}[order]
    image = np.random.default_rng(index).integers(0, 256, (size[1], size[0], channels), np.uint8)
    return Frame(image, index * FRAME_NS, order)


def tensor(frame: Frame) -> torch.Tensor:
    """(1, 3, H, W) uint8, the image of a frame of RGB."""
    return torch.from_numpy(frame.image).permute(2, 0, 1)[None]


def after_key_frames(network: SegmentationNetwork, count: int
                     ) -> tuple[SegmentationPipeline, ManualSlowTrack, RecordingPropagation]:
    """Make a pipeline that has seen so many key frames, and sees no more."""
    pipeline, track, propagation = make(network, threshold=0.0)
    for index in range(count):
        pipeline.step(frame(index))
    pipeline.threshold = 1.0
    return pipeline, track, propagation


def test_result_of_the_key_frame_replaces_its_provisional_features(
        network: SegmentationNetwork) -> None:
    pipeline, track, propagation = make(network, threshold=0.0)
    pipeline.step(frame(0))
    assert pipeline.step(frame(1)).status.key_provisional
    computed = track.finish(1).high
    pipeline.threshold = 1.0
    assert not pipeline.step(frame(2)).status.key_provisional
    assert propagation.moved[-1] is computed


def test_late_result_of_an_older_key_frame_never_replaces_computed_features(
        network: SegmentationNetwork) -> None:
    pipeline, track, propagation = after_key_frames(network, 3)
    newer, _ = track.finish(2).high, track.finish(1)
    status = pipeline.step(frame(3)).status
    assert status.key_stamp_ns == 2 * FRAME_NS and not status.key_provisional
    assert propagation.moved[-1] is newer


def test_result_overtaken_by_a_newer_key_frame_still_renews_what_is_propagated(
        network: SegmentationNetwork) -> None:
    # With a key frame at every step, S_h would otherwise never have any effect.
    pipeline, track, propagation = after_key_frames(network, 4)
    computed = track.finish(1).high
    status = pipeline.step(frame(4)).status
    assert status.key_stamp_ns == 3 * FRAME_NS     # the key frame does not go back …
    assert status.key_provisional                  # … and its own features are still to come
    assert propagation.moved[-1] is computed


def test_refined_features_replace_those_of_the_same_frame(network: SegmentationNetwork) -> None:
    pipeline, track, propagation = after_key_frames(network, 2)
    first = track.finish(1)
    pipeline.step(frame(2))
    assert propagation.moved[-1] is first.high
    refined = track.refine(first)
    status = pipeline.step(frame(3)).status
    assert propagation.moved[-1] is refined.high
    assert not status.key_provisional and status.slow_track_ms == first.duration_ms


def test_refined_features_never_replace_computed_ones_of_a_newer_frame(
        network: SegmentationNetwork) -> None:
    pipeline, track, propagation = after_key_frames(network, 3)
    older, newer = track.finish(1), track.finish(2)
    track.refine(older)
    pipeline.step(frame(3))
    assert propagation.moved[-1] is newer.high


def test_refined_features_replace_those_of_an_older_frame_that_are_still_propagated(
        network: SegmentationNetwork) -> None:
    pipeline, track, propagation = after_key_frames(network, 3)
    older = track.finish(1)
    pipeline.step(frame(3))
    assert propagation.moved[-1] is older.high
    refined = track.refine(older)
    assert pipeline.step(frame(4)).status.key_provisional    # S_h of frame 2 is still to come
    assert propagation.moved[-1] is refined.high


@pytest.mark.parametrize('schedule', ['every_frame', 'adaptive'])
def test_frames_in_full_are_refined(network: SegmentationNetwork, schedule: str) -> None:
    pipeline, _, _ = make(network, schedule=schedule, threshold=0.0, mirror=True)
    for index in range(2):
        image = tensor(frame(index)).float()
        with torch.no_grad():
            both = network.classify(network.high(network.low(torch.cat((image, image.flip(3))))))
            mean = (both[:1] + both[1:].flip(3)) / 2
            expected = network.upsample(mean, 32, 48).argmax(1)[0].numpy()
        assert (pipeline.step(frame(index)).mask == expected).mean() > 0.999    # but for ties


@pytest.mark.parametrize('mirror', [True, False])
def test_a_pipeline_of_options_refines_frames_in_full_where_that_is_asked_for(
        network: SegmentationNetwork, mirror: bool) -> None:
    plain, _, _ = make(network, schedule='every_frame')
    refined, _, _ = make(network, schedule='every_frame', mirror=True)
    expected, other = (one.step(frame(0)).mask for one in
                       ((refined, plain) if mirror else (plain, refined)))
    assert (expected != other).any()
    prepared = prepare(network, device=torch.device('cpu'), precision='float32')
    options = PipelineOptions(schedule='every_frame', slow_track='inline', mirror=mirror)
    with assemble(prepared, options, propagation=RecordingPropagation(prepared)) as pipeline:
        found = pipeline.step(frame(0)).mask
    assert (found != expected).mean() < 0.5 * (found != other).mean()    # rounding aside


def test_with_a_background_the_first_frame_is_not_refined(network: SegmentationNetwork) -> None:
    # No frame shall wait for that.
    pipeline, _, propagation = make(network, threshold=1.0, mirror=True)
    pipeline.step(frame(0))
    pipeline.step(frame(1))
    image = tensor(frame(0)).float()
    with torch.no_grad():
        torch.testing.assert_close(propagation.moved[-1], network.high(network.low(image)))


def test_a_job_keeps_its_image(network: SegmentationNetwork) -> None:
    # A caller may use the memory again, while S_h still needs the image.
    pipeline, track, _ = make(network, threshold=0.0, mirror=True)
    pipeline.step(frame(0))
    second = frame(1)
    pipeline.step(second)
    expected = tensor(second).clone()
    second.image.fill(0)
    assert torch.equal(track.jobs[-1].image, expected)


@pytest.mark.parametrize('order', ['rgb', 'bgr', 'rgba', 'bgra', 'mono'])
@pytest.mark.parametrize('writeable', [True, False])
@pytest.mark.parametrize('size', [(48, 32), (24, 16), (47, 32)])
def test_whether_an_image_is_in_the_memory_of_its_frame(
        order: str, writeable: bool, size: tuple[int, int]) -> None:
    memory = np.random.default_rng(0).integers(
        1, 256, (32, 48, CHANNELS[order]), dtype=np.uint8)
    image = memory.view()
    image.flags.writeable = writeable
    one = Frame(image=image, stamp_ns=0, order=order)
    fitted = fit(one, size=size, align_corners=False)
    found = to_tensor(fitted.frame, device=torch.device('cpu'))
    before = found.clone()
    memory.fill(0)
    assert shares_memory(found, one) == (not torch.equal(found, before))


def unrefinable(self: SegmentationNetwork, high: torch.Tensor, image: torch.Tensor) -> Steps:
    yield
    raise RuntimeError('out of memory')


def test_a_frame_in_full_that_cannot_be_refined_has_what_s_h_came_to(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, _, _ = make(network, schedule='every_frame')
    expected = plain.step(frame(0)).mask
    monkeypatch.setattr(SegmentationNetwork, 'refine_steps', unrefinable)
    pipeline, _, _ = make(network, schedule='every_frame', mirror=True)
    result = pipeline.step(frame(0))
    assert (result.mask == expected).all() and result.status.key_frame
    assert result.status.slow_track_failures == 1
    assert result.status.slow_track_error == (
        'while the mirror image was looked at: RuntimeError: out of memory')


@pytest.mark.parametrize('slow_track', ['inline', 'background'])
@pytest.mark.parametrize('mirror', [True, False])
def test_the_slow_track_refines_where_that_is_asked_for(
        network: SegmentationNetwork, slow_track: str, mirror: bool) -> None:
    options = PipelineOptions(threshold=0.0, slow_track=slow_track, slow_delay_s=0.0,
                              mirror=mirror)
    prepared = prepare(network, device=torch.device('cpu'), precision='float32')
    propagation = RecordingPropagation(prepared)
    with assemble(prepared, options, propagation=propagation) as pipeline:
        pipeline.step(frame(0))
        pipeline.step(frame(1))
        pipeline.threshold = 1.0
        for index in range(2, 3000):    # until the slow track has nothing to do any more
            if not pipeline.step(frame(index)).status.slow_track_busy:
                break
        pipeline.step(frame(index + 1))
    image = tensor(frame(1)).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = prepared.high(prepared.low(image))
        if mirror:
            expected = prepared.refine(expected, image)
        torch.testing.assert_close(propagation.moved[-1], expected)


def test_failure_is_reported_and_masks_go_on(network: SegmentationNetwork) -> None:
    pipeline, track, _ = make(network, threshold=0.0)
    pipeline.step(frame(0))
    pipeline.step(frame(1))
    track.finish(1, error='RuntimeError: out of memory')
    status = pipeline.step(frame(2)).status
    assert status.slow_track_failures == 1
    assert status.slow_track_error == 'RuntimeError: out of memory'
    track.finish(2)
    status = pipeline.step(frame(3)).status
    assert status.slow_track_failures == 1 and status.slow_track_error is None


def broken(self: SegmentationNetwork, low: torch.Tensor) -> Steps:
    yield
    raise RuntimeError('out of memory')


def test_failure_of_the_first_frame_is_an_error_and_the_next_frame_tries_again(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, _, _ = make(network)
    with monkeypatch.context() as patch:
        patch.setattr(SegmentationNetwork, 'high_steps', broken)
        with pytest.raises(KeyFrameError, match='out of memory'):
            pipeline.step(frame(0))
    assert pipeline.step(frame(1)).status.key_frame


def test_inline_failure_falls_back_to_propagation(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, _, _ = make(network, schedule='every_frame')
    pipeline.step(frame(0))
    monkeypatch.setattr(SegmentationNetwork, 'high_steps', broken)
    result = pipeline.step(frame(1))
    assert result.mask.shape == (32, 48)
    assert not result.status.key_frame and result.status.slow_track_failures == 1


def test_time_going_back_resets(network: SegmentationNetwork) -> None:
    pipeline, track, _ = make(network)
    pipeline.step(frame(30))
    pipeline.step(frame(31))
    status = pipeline.step(frame(0)).status
    assert status.key_frame and status.reset_reason == 'time went back by 2.067 s'
    assert track.jobs == []
    assert pipeline.step(frame(1)).status.reset_reason is None


TENTH_NS = 100_000_000


@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('steps_ns, resets', [
    ([1_000], False), ([TENTH_NS], False), ([TENTH_NS + 1], True),
    ([0], False),
    ([TENTH_NS, -TENTH_NS // 2, TENTH_NS // 2], False),    # it jitters
    ([TENTH_NS // 2, TENTH_NS // 2, 1], True),    # it runs backwards, a little each time
    ([-365 * 86400 * 10**9, 365 * 86400 * 10**9], True)])
def test_small_steps_back_are_let_through(
        network: SegmentationNetwork, schedule: str, steps_ns: list[int], resets: bool) -> None:
    pipeline, _, _ = make(network, schedule, threshold=1.0)
    stamp_ns = 50 * TENTH_NS
    pipeline.step(Frame(frame(0).image, stamp_ns))
    reasons = []
    for back_ns in steps_ns:
        stamp_ns -= back_ns
        reasons.append(pipeline.step(Frame(frame(0).image, stamp_ns)).status.reset_reason)
    assert [reason is not None for reason in reasons] == [False] * (len(reasons) - 1) + [resets]
    if resets:
        assert reasons[-1] is not None and reasons[-1].startswith('time went back by')
    later = pipeline.step(Frame(frame(0).image, stamp_ns + TENTH_NS)).status
    assert later.reset_reason is None


def test_new_image_size_resets(network: SegmentationNetwork) -> None:
    pipeline, _, _ = make(network)
    pipeline.step(frame(0))
    result = pipeline.step(frame(1, size=(64, 40)))
    assert result.mask.shape == (40, 64)
    assert result.status.key_frame
    assert result.status.reset_reason == 'image size changed from 48x32 to 64x40'


def test_reset_on_request(network: SegmentationNetwork) -> None:
    pipeline, _, _ = make(network, threshold=1.0)
    pipeline.step(frame(0))
    assert not pipeline.step(frame(1)).status.key_frame
    pipeline.reset()
    status = pipeline.step(frame(2)).status
    assert status.key_frame and status.reset_reason == 'reset requested'


@pytest.mark.parametrize('bad', [
    Frame(np.zeros((0, 48, 3), np.uint8), 0),
    Frame(np.zeros((32, 48, 3), np.float32), 0),
    Frame(np.zeros((32, 48, 4), np.uint8), 0, 'rgb'),
    Frame(np.zeros((32, 48, 3), np.uint8), 0, 'cmyk'),
    Frame(np.zeros((8, 8, 3), np.uint8), 0),
])
def test_malformed_image_changes_nothing(network: SegmentationNetwork, bad: Frame) -> None:
    pipeline, _, _ = make(network, threshold=1.0)
    pipeline.step(frame(5))
    with pytest.raises(ImageError, match='expected'):
        pipeline.step(bad)
    status = pipeline.step(frame(6)).status
    assert not status.key_frame and status.key_age_frames == 1 and status.reset_reason is None


def test_all_channel_orders_see_the_same_picture(network: SegmentationNetwork) -> None:
    rgb = frame(1).image
    grey = np.repeat(rgb[:, :, :1], 3, axis=2)
    alpha = np.full_like(rgb[:, :, :1], 7)

    def mask(image: np.ndarray, order: str) -> np.ndarray:
        pipeline, _, _ = make(network, schedule='every_frame')
        return pipeline.step(Frame(image, 0, order)).mask

    expected = mask(rgb, 'rgb')
    assert (mask(np.ascontiguousarray(rgb[:, :, ::-1]), 'bgr') == expected).all()
    assert (mask(np.concatenate((rgb, alpha), 2), 'rgba') == expected).all()
    assert (mask(np.concatenate((rgb[:, :, ::-1], alpha), 2), 'bgra') == expected).all()
    assert (mask(grey[:, :, :1], 'mono') == mask(grey, 'rgb')).all()
    assert (mask(grey[:, :, 0], 'mono') == mask(grey, 'rgb')).all()


def test_read_only_and_padded_rows(network: SegmentationNetwork) -> None:
    rgb = frame(1).image
    padded = np.zeros((32, 60, 3), np.uint8)
    padded[:, :48] = rgb
    padded.setflags(write=False)
    pipeline, _, _ = make(network, schedule='every_frame')
    expected = pipeline.step(Frame(rgb, 0)).mask
    assert (pipeline.step(Frame(padded[:, :48], 1)).mask == expected).all()


def test_confidence_is_the_softmax_maximum(network: SegmentationNetwork) -> None:
    pipeline, _, _ = make(network, schedule='every_frame')
    image = tensor(frame(0)).float()
    with torch.no_grad():
        expected = network(image).softmax(1).amax(1)[0].numpy() * 255
    assert pipeline.step(frame(0)).confidence is None
    confidence = pipeline.step(frame(0), want_confidence=True).confidence
    assert confidence is not None
    assert confidence.dtype == np.uint8
    np.testing.assert_allclose(confidence, expected, atol=0.51)


@pytest.mark.parametrize('align_corners', [False, True])
def test_the_mask_is_the_best_class_of_the_enlarged_logits(
        network: SegmentationNetwork, align_corners: bool) -> None:
    network.config = dataclasses.replace(network.config, align_corners=align_corners)
    logits = torch.randn(1, 19, 6, 9)
    content = (41, 65) if align_corners else (48, 72)
    full_size = torch.nn.functional.interpolate(
        logits, (41, 70), mode='bilinear', align_corners=align_corners)
    masks = [label_map(logits, size=(41, 70), content=content, align_corners=align_corners,
                       want_confidence=want_confidence)[0]
             for want_confidence in (False, True)]
    for mask in masks:
        assert mask.dtype == np.uint8 and mask.flags.c_contiguous
        assert (mask == full_size.argmax(1)[0].numpy()).mean() > 0.999    # ties of rounding aside


@pytest.mark.parametrize('channels_last', [False, True])
@pytest.mark.parametrize('size, enlarged', [
    ((45, 60), (360, 480)), ((5, 7), (41, 70)), ((1, 1), (9, 20)), ((4, 9), (4, 9)),
    ((12, 20), (5, 7)), ((3, 2), (50, 1)), ((6, 5), (17, 33))])
def test_best_class_at_any_size(
        network: SegmentationNetwork, size: tuple[int, int], enlarged: tuple[int, int],
        channels_last: bool) -> None:
    torch.manual_seed(1)
    logits = torch.randn(1, 11, *size)
    full_size = torch.nn.functional.interpolate(
        logits.double(), enlarged, mode='bilinear', align_corners=False)
    best_two = full_size.topk(2, 1).values
    clear = (best_two[:, 0] - best_two[:, 1] > 1e-4)[0].numpy()
    if channels_last:
        logits = logits.contiguous(memory_format=torch.channels_last)
    mask, _ = label_map(logits, size=enlarged, content=(8 * size[0], 8 * size[1]),
                        align_corners=False, want_confidence=False)
    expected = full_size.argmax(1)[0].numpy()
    assert mask.shape == enlarged and (mask[clear] == expected[clear]).all()


def test_of_equal_classes_the_first_wins(network: SegmentationNetwork) -> None:
    logits = torch.zeros(1, 3, 4, 4)
    logits[:, 1:] = 2.0
    mask, _ = label_map(logits, size=(9, 9), content=(32, 32), align_corners=False,
                        want_confidence=False)
    assert (mask == 1).all()


def test_full_frames_use_all_cores_and_others_their_share(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    high_steps = network.high_steps

    def watched(low: torch.Tensor) -> Steps:
        used.append(torch.get_num_threads())
        return high_steps(low)

    monkeypatch.setattr(network, 'high_steps', watched)
    before = torch.get_num_threads()
    pipeline, _, _ = make(network, schedule='every_frame', full_threads=before + 1)
    pipeline.step(frame(0))
    assert used == [before + 1] and torch.get_num_threads() == before


class LateRunner(CallingThread):
    """Keeps a frame for a while before and after it is computed."""

    LATE_S = 0.05

    def frame(self, function: Callable[[], Any]) -> Any:
        time.sleep(self.LATE_S)
        result = super().frame(function)
        time.sleep(self.LATE_S)
        return result


def test_the_stages_are_all_of_the_step(network: SegmentationNetwork) -> None:
    pipeline, _, _ = make(network, runner=LateRunner())
    start_s = time.perf_counter()
    stage_ms = pipeline.step(frame(0)).status.stage_ms
    end_s = time.perf_counter()
    assert stage_ms['wait'] >= 1e3 * LateRunner.LATE_S, 'before its first stage'
    assert stage_ms['rest'] >= 1e3 * LateRunner.LATE_S, 'behind its last one'
    assert sum(stage_ms.values()) <= 1e3 * (end_s - start_s)


def test_in_turns_every_thread_gets_the_same_masks(network: SegmentationNetwork) -> None:
    plain, _, _ = make(network)
    in_turns, _, _ = make(network, runner=Lane())
    masks: list[np.ndarray] = []
    for index in range(3):
        thread = threading.Thread(target=lambda: masks.append(in_turns.step(frame(index)).mask))
        thread.start()
        thread.join(60)
        assert (masks[index] == plain.step(frame(index)).mask).all()


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_a_step_that_fails_holds_nobody_up(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch,
        error: type[BaseException]) -> None:
    def broken_low(image: torch.Tensor) -> torch.Tensor:
        raise error

    lane = Lane()
    pipeline, _, _ = make(network, runner=lane)
    with monkeypatch.context() as patch:
        patch.setattr(network, 'low', broken_low)
        with pytest.raises(error):
            pipeline.step(frame(0))
    assert lane.steps(lambda: 'a step') == 'a step'
    assert pipeline.step(frame(1)).status.key_frame


def test_a_key_frame_that_fails_in_the_end_leaves_everything_as_it_was(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_classify(high: torch.Tensor) -> torch.Tensor:
        raise RuntimeError

    pipeline, track, _ = make(network, threshold=0.0)
    pipeline.step(frame(0))
    with monkeypatch.context() as patch:
        patch.setattr(network, 'classify', broken_classify)
        with pytest.raises(RuntimeError):
            pipeline.step(frame(1))
    assert track.jobs == []
    pipeline.threshold = 1.0
    assert pipeline.step(frame(2)).status.key_stamp_ns == 0


def test_s_h_starts_when_the_mask_is_there(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, track, _ = make(network, threshold=0.0)
    pipeline.step(frame(0))
    events: list[str] = []

    def classify(high: torch.Tensor) -> torch.Tensor:
        events.append('labels')
        return SegmentationNetwork.classify(network, high)

    monkeypatch.setattr(network, 'classify', classify)
    monkeypatch.setattr(track, 'submit', lambda job: events.append(f'S_h of {job.number}'))
    assert pipeline.step(frame(1)).status.slow_track_busy
    assert events == ['labels', 'S_h of 1']


def test_inference_and_output_size(network: SegmentationNetwork) -> None:
    seen = []
    network.backbone.stem.register_forward_pre_hook(
        lambda _module, inputs: seen.append(tuple(inputs[0].shape)))
    pipeline, _, _ = make(network, inference_size='64x48', output_size=(100, 60))
    mask = pipeline.step(frame(0, size=(200, 120))).mask
    assert seen == [(1, 3, 48, 64)] and mask.shape == (60, 100)


@pytest.mark.parametrize('schedule', ['low_latency', 'every_frame'])
def test_warm_up_runs_every_part_and_leaves_no_trace(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch, schedule: str) -> None:
    pipeline, track, propagation = make(network, schedule, threshold=1.0)
    measured = []

    def deviation(key_low: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        measured.append(low)
        return SegmentationNetwork.deviation(network, key_low, low)

    monkeypatch.setattr(network, 'deviation', deviation)
    pipeline.warm_up(48, 32)
    assert measured and propagation.moved
    assert [job.image.shape for job in track.warmed_up] == [(1, 3, 32, 48)]
    status = pipeline.step(frame(0, size=(64, 40))).status
    assert status.key_frame and status.reset_reason is None and track.jobs == []


@pytest.mark.parametrize('options', [
    {'device': 'cuda:99'}, {'device': 'teapot'}, {'precision': 'float8'},
    {'slow_policy': 'loud'}, {'cpu_sharing': 'none'}, {'slow_track': 'twice'},
    {'fast_threads': -1}, {'inference_size': '3x3'}, {'output_size': (0, 100)},
    {'threshold': 2.0}, {'schedule': 'never'}, {'fixed_interval': 0}, {'max_key_age_frames': -1},
    {'slow_delay_s': float('nan')},
])
def test_options_that_cannot_work_are_refused(
        network: SegmentationNetwork, tmp_path: pathlib.Path, options: dict[str, Any]) -> None:
    save_network(network, tmp_path / 'tiny.safetensors')
    with pytest.raises(ConfigurationError, match='expected'):
        build_pipeline(PipelineOptions(model=str(tmp_path / 'tiny.safetensors'), **options))


@pytest.mark.skipif(kernels() is None or len(core_numbers()) < 2,
                    reason='needs the native kernels, and two cores')
@pytest.mark.parametrize('slow_track', ['background', 'inline'])
@pytest.mark.parametrize('options, bound', [
    ({}, True), ({'bind_threads': False}, False), ({'fast_threads': 1}, False),
    ({'slow_threads': 1}, False)])
def test_in_turns_on_all_cores_threads_are_bound(
        network: SegmentationNetwork, tmp_path: pathlib.Path, slow_track: str,
        options: dict[str, Any], bound: bool) -> None:
    save_network(network, tmp_path / 'tiny.safetensors')
    seen = []

    class Watched(SpatiallyVariantPropagation):
        def describe(self, frame: Frame, low: torch.Tensor) -> FrameDescription:
            seen.append(core_numbers())
            return super().describe(frame, low)

    options = {'cpu_sharing': 'turns', 'slow_track': slow_track, **options}
    loaded = prepare(load_network(str(tmp_path / 'tiny.safetensors')),
                     device=torch.device('cpu'), precision='auto')
    with assemble(loaded, PipelineOptions(**options), propagation=Watched(loaded)) as pipeline:
        pipeline.step(frame(0))
    assert seen == [core_numbers()[:1] if bound else core_numbers()]


def test_missing_model_is_named() -> None:
    with pytest.raises(ModelFileError, match='nowhere.safetensors'):
        build_pipeline(PipelineOptions(model='nowhere.safetensors'))


@pytest.mark.parametrize('cpu_sharing', ['turns', 'side_by_side'])
def test_background_pipeline_end_to_end(
        network: SegmentationNetwork, tmp_path: pathlib.Path, cpu_sharing: str) -> None:
    save_network(network, tmp_path / 'tiny.safetensors', half=False)
    options = PipelineOptions(model=str(tmp_path / 'tiny.safetensors'), threshold=0.0,
                              cpu_sharing=cpu_sharing)
    with build_pipeline(options) as pipeline:
        pipeline.warm_up(48, 32)
        pipeline.step(frame(0))
        assert pipeline.step(frame(1)).status.key_provisional
        pipeline.threshold = 1.0    # so that frame 1 stays the key frame
        for index in range(2, 1000):
            status = pipeline.step(frame(index)).status
            if not status.key_provisional:
                break
            threading.Event().wait(0.01)
        assert not status.key_provisional, 'the result of S_h never came'
        assert status.key_stamp_ns == FRAME_NS
        assert status.slow_track_error is None and status.slow_track_failures == 0
