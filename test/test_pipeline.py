# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pipeline step: state, late results, resets and failures."""

import collections
import dataclasses
import pathlib
import threading
import time
from typing import Any, Callable, Optional

import cv2
import numpy as np
import pytest
import torch
from label_maps import label_map
from native_levels import forced

from lvs_ros.backends.cpu.library import supported_levels
from lvs_ros.backends.prepare import prepare
from lvs_ros.backends.stages import LowFeatures, Source
from lvs_ros.errors import ConfigurationError, ImageError, ModelFileError
from lvs_ros.model import VARIANTS, SegmentationNetwork, save_network
from lvs_ros.options import PipelineOptions, SCHEDULES
from lvs_ros.pipeline.build import assemble, build_pipeline
from lvs_ros.pipeline.execution import (Executor, PartitionedExecutor, SimulatedExecutor,
                                        TimeSlicedExecutor)
from lvs_ros.pipeline.frame import CHANNELS, Frame
from lvs_ros.pipeline.input import fit, shares_memory, to_tensor
from lvs_ros.pipeline.pipeline import KeyFrameError, SegmentationPipeline
from lvs_ros.pipeline.propagation import SpatiallyVariantPropagation
from lvs_ros.pipeline.threads import core_numbers

pytestmark = pytest.mark.usefixtures('one_thread')

FRAME_NS = 66_666_667
EXECUTORS = [
    pytest.param(lambda: TimeSlicedExecutor(threads=1), id='time-sliced'),
    pytest.param(lambda: PartitionedExecutor(threads=2), id='partitioned'),
    pytest.param(lambda: SimulatedExecutor(0.0), id='simulated')]


class RecordingPropagation(SpatiallyVariantPropagation):
    """Notes which features were moved."""

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__(network)
        self.moved: list[torch.Tensor] = []

    def move(self, source: Source, now: LowFeatures) -> torch.Tensor:
        self.moved.append(source.high)
        return super().move(source, now)


@pytest.fixture
def network() -> SegmentationNetwork:
    torch.manual_seed(0)
    return SegmentationNetwork(VARIANTS['tiny']('camvid', 11)).eval()


def make(network: SegmentationNetwork, schedule: str = 'low_latency', threshold: float = 0.0,
         delay_frames: float = 1.5, executor: Optional[Executor] = None, **options: Any
         ) -> tuple[SegmentationPipeline, RecordingPropagation]:
    """Make a pipeline; S_h takes so many frames of the stream."""
    propagation = RecordingPropagation(network)
    options = {'flip_averaging': False, **options}
    pipeline = assemble(
        network, PipelineOptions(schedule=schedule, threshold=threshold, **options),
        propagation=propagation,
        executor=executor or SimulatedExecutor(delay_frames * FRAME_NS / 1e9))
    return pipeline, propagation


def frame(index: int, size: tuple[int, int] = (48, 32), order: str = 'rgb') -> Frame:
    channels = {'rgb': 3, 'bgr': 3, 'rgba': 4, 'bgra': 4, 'mono': 1}[order]
    image = np.random.default_rng(index).integers(0, 256, (size[1], size[0], channels), np.uint8)
    return Frame(image, index * FRAME_NS, order)


def tensor(frame: Frame) -> torch.Tensor:
    """(1, 3, H, W) uint8, the image of a frame of RGB."""
    return torch.from_numpy(frame.image).permute(2, 0, 1)[None]


def test_the_result_of_s_h_is_propagated_from_then_on(network: SegmentationNetwork) -> None:
    pipeline, propagation = make(network, threshold=0.0)
    pipeline.step(frame(0))
    assert pipeline.step(frame(1)).status.key_provisional    # S_h takes until frame 2.5
    pipeline.change(threshold=1.0)
    assert pipeline.step(frame(2)).status.key_provisional
    status = pipeline.step(frame(3)).status
    assert not status.key_provisional and status.slow_track_ms is not None
    with torch.no_grad():
        expected = network.high(network.low(tensor(frame(1)).float()))
    torch.testing.assert_close(propagation.moved[-1], expected)


@pytest.mark.parametrize('schedule', ['every_frame', 'adaptive'])
def test_frames_in_full_are_refined(network: SegmentationNetwork, schedule: str) -> None:
    pipeline, _ = make(network, schedule=schedule, threshold=0.0, flip_averaging=True)
    for index in range(2):
        image = tensor(frame(index)).float()
        with torch.no_grad():
            both = network.classify(network.high(network.low(torch.cat((image, image.flip(3))))))
            mean = (both[:1] + both[1:].flip(3)) / 2
            expected = network.upsample(mean, 32, 48).argmax(1)[0].numpy()
        assert (pipeline.step(frame(index)).mask == expected).mean() > 0.999    # but for ties


@pytest.mark.parametrize('flip_averaging', [True, False])
def test_a_pipeline_of_options_refines_frames_in_full_where_that_is_asked_for(
        network: SegmentationNetwork, flip_averaging: bool) -> None:
    plain, _ = make(network, schedule='every_frame')
    refined, _ = make(network, schedule='every_frame', flip_averaging=True)
    expected, other = (one.step(frame(0)).mask for one in
                       ((refined, plain) if flip_averaging else (plain, refined)))
    assert (expected != other).any()
    prepared = prepare(network, device=torch.device('cpu'), precision='float32')
    options = PipelineOptions(schedule='every_frame', flip_averaging=flip_averaging)
    with assemble(prepared, options, propagation=RecordingPropagation(prepared)) as pipeline:
        found = pipeline.step(frame(0)).mask
    assert (found != expected).mean() < 0.5 * (found != other).mean()    # rounding aside


def test_with_a_background_the_first_frame_is_not_refined(network: SegmentationNetwork) -> None:
    # No frame shall wait for that.
    pipeline, propagation = make(network, threshold=1.0, flip_averaging=True)
    pipeline.step(frame(0))
    pipeline.step(frame(1))
    image = tensor(frame(0)).float()
    with torch.no_grad():
        torch.testing.assert_close(propagation.moved[-1], network.high(network.low(image)))


def test_a_job_keeps_its_image(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    # A caller may use the memory again, while S_h still needs the image.
    seen = []

    def refine(high: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        seen.append(image)
        return high

    monkeypatch.setattr(network, 'refine', refine)
    pipeline, _ = make(network, threshold=0.0, flip_averaging=True, delay_frames=1.0)
    pipeline.step(frame(0))
    second = frame(1)
    pipeline.step(second)
    expected = tensor(second).clone()
    second.image.fill(0)
    pipeline.change(threshold=1.0)
    for index in (2, 3):
        pipeline.step(frame(index))
    assert len(seen) == 1 and torch.equal(seen[0], expected)


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


def unrefinable(self: SegmentationNetwork, high: torch.Tensor, image: torch.Tensor
                ) -> torch.Tensor:
    raise RuntimeError('out of memory')


def test_a_frame_in_full_that_cannot_be_refined_has_what_s_h_came_to(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, _ = make(network, schedule='every_frame')
    expected = plain.step(frame(0)).mask
    monkeypatch.setattr(SegmentationNetwork, 'refine', unrefinable)
    pipeline, _ = make(network, schedule='every_frame', flip_averaging=True)
    result = pipeline.step(frame(0))
    assert (result.mask == expected).all() and result.status.key_frame
    assert result.status.slow_track_failures == 1
    assert result.status.slow_track_error == (
        'during flip averaging: RuntimeError: out of memory')


@pytest.mark.parametrize('executor', EXECUTORS)
@pytest.mark.parametrize('flip_averaging', [True, False])
def test_s_h_is_refined_where_that_is_asked_for(
        network: SegmentationNetwork, executor: Callable[[], Executor], flip_averaging: bool
        ) -> None:
    prepared = prepare(network, device=torch.device('cpu'), precision='float32')
    propagation = RecordingPropagation(prepared)
    with assemble(prepared, PipelineOptions(threshold=0.0, flip_averaging=flip_averaging),
                  executor=executor(), propagation=propagation) as pipeline:
        pipeline.step(frame(0))
        pipeline.step(frame(1))
        pipeline.change(threshold=1.0)
        for index in range(2, 3000):    # until S_h has nothing to do any more
            if not pipeline.step(frame(index)).status.slow_track_busy:
                break
        pipeline.step(frame(index + 1))
    image = tensor(frame(1)).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = prepared.high(prepared.low(image))
        if flip_averaging:
            expected = prepared.refine(expected, image)
        torch.testing.assert_close(propagation.moved[-1], expected)


def broken(self: SegmentationNetwork, low: torch.Tensor) -> torch.Tensor:
    raise RuntimeError('out of memory')


def test_failure_is_reported_and_masks_go_on(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, _ = make(network, threshold=0.0, delay_frames=1.0)
    pipeline.step(frame(0))
    pipeline.step(frame(1))
    with monkeypatch.context() as patch:
        patch.setattr(SegmentationNetwork, 'high', broken)
        status = pipeline.step(frame(2)).status
    assert status.slow_track_failures == 1
    assert status.slow_track_error == 'RuntimeError: out of memory'
    status = pipeline.step(frame(3)).status
    assert status.slow_track_failures == 1 and status.slow_track_error is None


def test_failure_of_the_first_frame_is_an_error_and_the_next_frame_tries_again(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, _ = make(network)
    with monkeypatch.context() as patch:
        patch.setattr(SegmentationNetwork, 'high', broken)
        with pytest.raises(KeyFrameError, match='out of memory'):
            pipeline.step(frame(0))
    assert pipeline.step(frame(1)).status.key_frame


def test_inline_failure_falls_back_to_propagation(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, _ = make(network, schedule='every_frame')
    pipeline.step(frame(0))
    monkeypatch.setattr(SegmentationNetwork, 'high', broken)
    result = pipeline.step(frame(1))
    assert result.mask.shape == (32, 48)
    assert not result.status.key_frame and result.status.slow_track_failures == 1


def test_time_going_back_resets(network: SegmentationNetwork) -> None:
    pipeline, _ = make(network)
    pipeline.step(frame(30))
    pipeline.step(frame(31))
    status = pipeline.step(frame(0)).status
    assert status.key_frame and status.reset_reason == 'time went back by 2.067 s'
    assert not status.slow_track_busy
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
    pipeline, _ = make(network, schedule, threshold=1.0)
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
    pipeline, _ = make(network)
    pipeline.step(frame(0))
    result = pipeline.step(frame(1, size=(64, 40)))
    assert result.mask.shape == (40, 64)
    assert result.status.key_frame
    assert result.status.reset_reason == 'image size changed from 48x32 to 64x40'


def test_reset_on_request(network: SegmentationNetwork) -> None:
    pipeline, _ = make(network, threshold=1.0)
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
    pipeline, _ = make(network, threshold=1.0)
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
        pipeline, _ = make(network, schedule='every_frame')
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
    pipeline, _ = make(network, schedule='every_frame')
    expected = pipeline.step(Frame(rgb, 0)).mask
    assert (pipeline.step(Frame(padded[:, :48], 1)).mask == expected).all()


def test_confidence_is_the_softmax_maximum(network: SegmentationNetwork) -> None:
    pipeline, _ = make(network, schedule='every_frame')
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
    high, before = network.high, torch.get_num_threads()

    def watched(low: torch.Tensor) -> torch.Tensor:
        used.append(torch.get_num_threads())
        return high(low)

    monkeypatch.setattr(network, 'high', watched)
    pipeline, _ = make(network, schedule='every_frame', executor=PartitionedExecutor(threads=4))
    pipeline.step(frame(0))
    assert used == [4] and torch.get_num_threads() == 2
    pipeline.close()
    assert torch.get_num_threads() == before


class LateExecutor(SimulatedExecutor):
    """Keeps a frame for a while before and after it is computed."""

    LATE_S = 0.05

    def run(self, work: Callable[[], Any], *, goes_on: bool = False) -> Any:
        time.sleep(self.LATE_S)
        result = super().run(work)
        time.sleep(self.LATE_S)
        return result


def test_the_stages_are_all_of_the_step(network: SegmentationNetwork) -> None:
    pipeline, _ = make(network, executor=LateExecutor(0.0))
    start_s = time.perf_counter()
    stage_ms = pipeline.step(frame(0)).status.stage_ms
    end_s = time.perf_counter()
    assert stage_ms['wait'] >= 1e3 * LateExecutor.LATE_S, 'before its first stage'
    assert stage_ms['rest'] >= 1e3 * LateExecutor.LATE_S, 'behind its last one'
    assert sum(stage_ms.values()) <= 1e3 * (end_s - start_s)


@pytest.mark.parametrize('executor', EXECUTORS)
def test_every_thread_gets_the_same_masks(
        network: SegmentationNetwork, executor: Callable[[], Executor]) -> None:
    plain, _ = make(network, threshold=1.0)
    other, _ = make(network, threshold=1.0, executor=executor())
    masks: list[np.ndarray] = []
    for index in range(3):
        thread = threading.Thread(target=lambda: masks.append(other.step(frame(index)).mask))
        thread.start()
        thread.join(60)
        assert (masks[index] == plain.step(frame(index)).mask).all()
    other.close()


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize('executor', EXECUTORS)
def test_a_step_that_fails_holds_nothing_up(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch,
        executor: Callable[[], Executor], error: type[BaseException]) -> None:
    def broken_low(image: torch.Tensor) -> torch.Tensor:
        raise error

    pipeline, _ = make(network, executor=executor())
    with monkeypatch.context() as patch:
        patch.setattr(network, 'low_and_detail', broken_low)
        with pytest.raises(error):
            pipeline.step(frame(0))
    assert pipeline.step(frame(1)).status.key_frame
    pipeline.close()


def broken_classify(high: torch.Tensor) -> torch.Tensor:
    raise RuntimeError


def test_a_key_frame_that_fails_in_the_end_leaves_everything_as_it_was(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, _ = make(network, threshold=0.0)
    pipeline.step(frame(0))
    with monkeypatch.context() as patch:
        patch.setattr(network, 'classify', broken_classify)
        with pytest.raises(RuntimeError):
            pipeline.step(frame(1))
    pipeline.change(threshold=1.0)
    status = pipeline.step(frame(2)).status
    assert status.key_stamp_ns == 0 and not status.slow_track_busy


def test_s_h_starts_when_the_mask_is_there(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = SimulatedExecutor(0.0)
    pipeline, _ = make(network, threshold=0.0, executor=executor)
    pipeline.step(frame(0))
    events: list[str] = []
    classify = network.classify

    def watched(high: torch.Tensor) -> torch.Tensor:
        events.append('labels')
        return classify(high)

    monkeypatch.setattr(network, 'classify', watched)
    monkeypatch.setattr(executor, 'submit', lambda job: events.append(f'S_h of {job.stamp_ns}'))
    assert pipeline.step(frame(1)).status.slow_track_busy
    assert events == ['labels', f'S_h of {FRAME_NS}']


def test_inference_and_output_size(network: SegmentationNetwork) -> None:
    seen = []
    network.backbone.stem.register_forward_pre_hook(
        lambda _module, inputs: seen.append(tuple(inputs[0].shape)))
    pipeline, _ = make(network, inference_size='64x48', output_size=(100, 60))
    mask = pipeline.step(frame(0, size=(200, 120))).mask
    assert seen == [(1, 3, 48, 64)] and mask.shape == (60, 100)


@pytest.mark.parametrize('schedule', ['low_latency', 'every_frame'])
def test_warm_up_runs_every_part_and_leaves_no_trace(
        network: SegmentationNetwork, monkeypatch: pytest.MonkeyPatch, schedule: str) -> None:
    ran = collections.Counter[str]()
    for name in ('low_and_detail', 'high', 'refine', 'deviation', 'propagate', 'classify'):
        def watched(*inputs: Any, _name: str = name, _function: Any = getattr(network, name)
                    ) -> Any:
            ran[_name] += 1
            return _function(*inputs)
        monkeypatch.setattr(network, name, watched)
    pipeline, _ = make(network, schedule, threshold=1.0, flip_averaging=True,
                       executor=TimeSlicedExecutor(threads=1))
    pipeline.warm_up(48, 32)
    assert len(ran) == 6
    status = pipeline.step(frame(0, size=(64, 40))).status
    assert status.key_frame and status.reset_reason is None and not status.slow_track_busy
    pipeline.close()


@pytest.mark.parametrize('options', [
    {'device': 'cuda:99'}, {'device': 'teapot'}, {'inference_size': '3x3'}])
def test_options_that_cannot_work_are_refused(
        network: SegmentationNetwork, tmp_path: pathlib.Path, options: dict[str, Any]) -> None:
    save_network(network, tmp_path / 'tiny.safetensors')
    with pytest.raises(ConfigurationError, match='expected'):
        build_pipeline(PipelineOptions(model=str(tmp_path / 'tiny.safetensors'), **options))


@pytest.mark.parametrize('threads, kind', [(1, 'time-sliced, 1'), (4, 'partitioned, 2 + 2')])
def test_the_executor_follows_from_the_threads(
        network: SegmentationNetwork, threads: int, kind: str) -> None:
    with assemble(network.eval(), PipelineOptions(cpu_threads=threads)) as pipeline:
        assert pipeline.executor.description.startswith(kind)


def test_what_was_set_is_restored_although_two_pipelines_overlap(
        network: SegmentationNetwork) -> None:
    def settings() -> Any:
        return torch.get_num_threads(), cv2.getNumThreads(), core_numbers()

    before = settings()
    first = assemble(network, PipelineOptions(cpu_threads=1))
    second = assemble(network, PipelineOptions(cpu_threads=4))
    for pipeline in (first, second, first, second):
        pipeline.step(frame(0))
    first.close()
    assert second.step(frame(1)).mask.shape == (32, 48)
    second.close()
    assert settings() == before
    second.close()    # once more changes nothing
    assert settings() == before


def test_two_pipelines_at_once_compute_what_one_does(network: SegmentationNetwork) -> None:
    expected = [make(network, threshold=1.0)[0].step(frame(index)).mask for index in range(4)]
    pipelines = [assemble(network, PipelineOptions(cpu_threads=threads, threshold=0.0,
                                                   schedule='every_frame', flip_averaging=False))
                 for threads in (1, 4)]
    masks: list[list[np.ndarray]] = [[], []]

    def run(number: int) -> None:
        masks[number] = [pipelines[number].step(frame(index)).mask for index in range(4)]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for pipeline in pipelines:
        pipeline.close()
    for found in masks:
        np.testing.assert_array_equal(found, expected)


def test_missing_model_is_named() -> None:
    with pytest.raises(ModelFileError, match='nowhere.safetensors'):
        build_pipeline(PipelineOptions(model='nowhere.safetensors'))


def test_a_whole_pipeline_computes_the_same_at_every_instruction_set(
        network: SegmentationNetwork) -> None:
    config = dataclasses.replace(network.config, alignment='flow')
    torch.manual_seed(0)
    weights = SegmentationNetwork(config).state_dict()

    def masks(level: str) -> np.ndarray:
        fresh = SegmentationNetwork(config)
        fresh.load_state_dict(weights)
        with forced(level):
            prepared = prepare(fresh, device=torch.device('cpu'), precision='float32')
            pipeline, _ = make(prepared, threshold=0.0, delay_frames=2.0, flip_averaging=True)
            found = [pipeline.step(frame(index, size=(96, 64))).mask for index in range(8)]
            pipeline.close()
        return np.stack(found)

    expected = masks('none')
    assert len(np.unique(expected)) > 1
    for level in supported_levels():
        assert (masks(level) == expected).mean() > 0.999    # but for rounding


@pytest.mark.parametrize('cpu_threads', [1, 4])
def test_background_pipeline_end_to_end(
        network: SegmentationNetwork, tmp_path: pathlib.Path, cpu_threads: int) -> None:
    save_network(network, tmp_path / 'tiny.safetensors', half=False)
    options = PipelineOptions(model=str(tmp_path / 'tiny.safetensors'), threshold=0.0,
                              cpu_threads=cpu_threads)
    with build_pipeline(options) as pipeline:
        pipeline.warm_up(48, 32)
        pipeline.step(frame(0))
        assert pipeline.step(frame(1)).status.key_provisional
        pipeline.change(threshold=1.0)    # so that frame 1 stays the key frame
        for index in range(2, 1000):
            status = pipeline.step(frame(index)).status
            if not status.key_provisional:
                break
            threading.Event().wait(0.01)
        assert not status.key_provisional, 'the result of S_h never came'
        assert status.key_stamp_ns == FRAME_NS
        assert status.slow_track_error is None and status.slow_track_failures == 0
