# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Images of any size: positions of features, padding, and the size that the network sees."""

import dataclasses
import functools
from typing import Optional

from hypothesis import example, given, settings, strategies
import numpy as np
import pytest
import torch
from torch.nn import functional
from label_maps import label_map

from lvs_ros.backends.prepare import prepare
from lvs_ros.errors import ConfigurationError, ImageError
from lvs_ros.evaluation.metrics import confusion_of, miou
from lvs_ros.model import VARIANTS, SegmentationNetwork, load_network
from lvs_ros.ops.geometry import STRIDE, aligned_size, upsample
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.inference_size import InferenceSize
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.street import StreetScene

sides = strategies.integers(16, 200)


@functools.lru_cache(maxsize=None)
def network(align_corners: bool, alignment: str = 'flow') -> SegmentationNetwork:
    torch.manual_seed(0)
    config = dataclasses.replace(VARIANTS['tiny']('camvid', 11), align_corners=align_corners,
                                 alignment=alignment, head='psp')
    return prepare(SegmentationNetwork(config), device=torch.device('cpu'), precision='float32')


def pipeline_of(net: SegmentationNetwork, **options: object) -> SegmentationPipeline:
    return assemble(net, PipelineOptions(**{'threshold': 0.0, **options}),  # type: ignore
                    executor=SimulatedExecutor(0.05))


def moving_blocks(width: int, height: int, count: int) -> list[np.ndarray]:
    """A random scene that moves by some pixels from image to image, (H, W, 3) uint8."""
    blocks = np.random.default_rng(width * 1000 + height).integers(0, 256, (60, 60, 3), np.uint8)
    scene = np.kron(blocks, np.ones((5, 5, 1), np.uint8))
    return [np.ascontiguousarray(scene[2 * n:2 * n + height, 3 * n:3 * n + width])
            for n in range(count)]


def padded(image: np.ndarray, align_corners: bool) -> np.ndarray:
    """Pad by hand: the next multiple of 8, or one more than that."""
    extra = 1 if align_corners else 0
    missing = [-(side - extra) % 8 for side in image.shape[:2]]
    return np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), 'edge')


@settings(max_examples=20, deadline=None)
@given(width=sides, height=sides, align_corners=strategies.booleans(),
       flip_averaging=strategies.booleans(),
       schedule=strategies.sampled_from(['low_latency', 'fixed', 'every_frame']))
def test_the_mask_is_that_of_the_image_padded_by_hand(
        width: int, height: int, align_corners: bool, flip_averaging: bool, schedule: str) -> None:
    net = network(align_corners)
    with pipeline_of(net, flip_averaging=flip_averaging, schedule=schedule) as odd, \
            pipeline_of(net, flip_averaging=flip_averaging, schedule=schedule) as whole:
        for index, image in enumerate(moving_blocks(width, height, 3)):
            found = odd.step(Frame(image, index * 66_666_667))
            expected = whole.step(Frame(padded(image, align_corners), index * 66_666_667))
            assert found.mask.shape == (height, width)
            np.testing.assert_array_equal(found.mask, expected.mask[:height, :width])


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('order', ['bgr', 'mono', 'rgba'])
def test_every_channel_order_is_padded(order: str, align_corners: bool) -> None:
    image = moving_blocks(53, 43, 1)[0]
    image = {'bgr': image, 'mono': image[:, :, 0], 'rgba': np.dstack((image, image[:, :, :1]))}[
        order]
    by_hand = padded(image if image.ndim == 3 else image[:, :, None], align_corners)
    with pipeline_of(network(align_corners)) as pipeline:
        found = pipeline.step(Frame(image, 0, order), want_confidence=True)
        pipeline.reset()
        expected = pipeline.step(Frame(by_hand, 0, order), want_confidence=True)
    np.testing.assert_array_equal(found.mask, expected.mask[:43, :53])
    assert found.confidence is not None and expected.confidence is not None
    np.testing.assert_array_equal(found.confidence, expected.confidence[:43, :53])


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('size', [(48, 64), (43, 53), (17, 200)])
def test_the_per_frame_network_pads_and_crops(size: tuple[int, int], align_corners: bool) -> None:
    net = network(align_corners)
    image = torch.from_numpy(moving_blocks(size[1], size[0], 1)[0]).permute(2, 0, 1)[None]
    whole = torch.from_numpy(padded(image[0].permute(1, 2, 0).numpy(), align_corners))
    with torch.inference_mode():
        found, expected = net(image), net(whole.permute(2, 0, 1)[None])
    assert found.shape == (1, 11, *size)
    torch.testing.assert_close(found, expected[:, :, :size[0], :size[1]], rtol=0, atol=0)


def test_a_training_crop_of_any_size_has_gradients() -> None:
    torch.manual_seed(0)
    net = SegmentationNetwork(VARIANTS['tiny']('camvid', 11)).eval()
    net(torch.rand(2, 3, 41, 59) * 255).square().mean().backward()
    assert net.backbone.stem[0].weight.grad.abs().sum() > 0  # type: ignore[index]


@given(side=strategies.integers(1, 5000), align_corners=strategies.booleans())
def test_aligned_sizes(side: int, align_corners: bool) -> None:
    found, other = aligned_size((side, 16), align_corners=align_corners)
    assert side <= found < side + STRIDE and (found - align_corners) % STRIDE == 0
    assert other == (17 if align_corners else 16)


@settings(max_examples=40, deadline=None)
@given(content=strategies.tuples(sides, sides), size=strategies.tuples(sides, sides),
       align_corners=strategies.booleans())
@example(content=(16, 121), size=(16, 16), align_corners=False)    # as many pixels as positions
def test_upsampling_and_labels_at_any_size(
        content: tuple[int, int], size: tuple[int, int], align_corners: bool) -> None:
    """Each pixel of the result is read where its place in the image is, whatever was padded."""
    positions = [-(-(side - align_corners) // 8) + align_corners for side in content]
    generator = torch.Generator().manual_seed(sum(content))
    logits = torch.randn(1, 5, *positions, generator=generator)
    expected = logits[0].double().numpy()
    for axis, (inner, pixels, count) in enumerate(zip(content, size, positions), start=1):
        centres = (np.linspace(0, inner - 1, pixels) if align_corners
                   else (np.arange(pixels) + 0.5) * inner / pixels - 0.5)
        # Pixel 8i is position i with aligned corners; else position i is in the middle of eight.
        at = np.clip(centres / 8 if align_corners else (centres - 3.5) / 8, 0, count - 1)
        below = np.minimum(at.astype(int), max(0, count - 2))
        above = np.minimum(below + 1, count - 1)
        weight = (at - below).reshape([-1 if n == axis else 1 for n in range(3)])
        expected = (expected.take(below, axis) * (1 - weight)
                    + expected.take(above, axis) * weight)
    found = upsample(logits, size, content=content, align_corners=align_corners)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=2e-4)
    best = np.sort(expected, 0)
    clear = best[-1] - best[-2] > 1e-3
    for want_confidence in (False, True):
        mask, _ = label_map(logits, size=size, content=content, align_corners=align_corners,
                            want_confidence=want_confidence)
        assert mask.shape == size and (mask == expected.argmax(0))[clear].all()


def test_upsampling_an_aligned_size_is_torchs() -> None:
    logits = torch.randn(2, 3, 6, 9)
    for align_corners, size in ((False, (48, 72)), (True, (41, 65))):
        expected = functional.interpolate(logits, size, mode='bilinear',
                                          align_corners=align_corners)
        found = upsample(logits, size, content=size, align_corners=align_corners)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.fixture(scope='module')
def street() -> list[tuple[np.ndarray, np.ndarray]]:
    """Images (360, 480, 3) and labels (360, 480) of the synthetic street."""
    scene = StreetScene(width=480, height=360, seed=3)
    return [scene.render(index / 15) for index in range(3)]


@pytest.mark.parametrize('schedule', ['every_frame', 'low_latency'])
def test_a_few_pixels_less_cost_no_accuracy(
        street: list[tuple[np.ndarray, np.ndarray]], schedule: str) -> None:
    net = prepare(load_network('lite_camvid'), device=torch.device('cpu'), precision='float32')

    def accuracy(width: int, height: int) -> float:
        """mIoU of the part that all sizes have."""
        total = np.zeros((11, 11), np.int64)
        with pipeline_of(net, schedule=schedule, threshold=0.1,
                         flip_averaging=False) as pipeline:
            for index, (image, labels) in enumerate(street):
                mask = pipeline.step(Frame(np.ascontiguousarray(image[:height, :width]),
                                           index * 66_666_667)).mask
                total += confusion_of(labels[:353, :470], mask[:353, :470], classes=11)
        return float(miou(total))

    whole = accuracy(480, 360)
    assert accuracy(473, 357) == pytest.approx(whole, abs=0.01)
    assert accuracy(476, 360) == pytest.approx(whole, abs=0.01)


@pytest.mark.parametrize('option, model_size, image, expected', [
    ('auto', (480, 360), (480, 360), (480, 360)),
    ('auto', (480, 360), (640, 270), (640, 270)),      # as many pixels
    ('auto', (480, 360), (960, 720), (480, 360)),
    ('auto', (480, 360), (2048, 1024), (588, 294)),
    ('auto', (480, 360), (1242, 375), (757, 228)),
    ('auto', (480, 360), (320, 240), (320, 240)),      # never larger
    ('auto', (2048, 1024), (1600, 900), (1600, 900)),
    ('auto', None, (2048, 1024), (2048, 1024)),
    ('auto', (480, 360), (16384, 20), (11898, 16)),    # not below what the network needs
    ('image', (480, 360), (2048, 1024), (2048, 1024)),
    ('640x480', (480, 360), (2048, 1024), (640, 480)),
    ('640x480', None, (320, 240), (640, 480)),
])
def test_inference_size(option: str, model_size: Optional[tuple[int, int]],
                        image: tuple[int, int], expected: tuple[int, int]) -> None:
    size = InferenceSize(option, model_size)
    assert size.of(*image) == expected
    assert '{}x{}'.format(*expected) in size.describe(*image)
    if option == 'auto' and expected != image:
        assert 'inference_size: image' in size.describe(*image)


@pytest.mark.parametrize('option', ['', 'Auto', '640', '640x', '640*480', '8x8', '640x480x3',
                                    '99999x99999', '-640x480', '640X480', (640, 480), [0, 0], 1])
def test_an_inference_size_that_cannot_be_is_refused(option: object) -> None:
    with pytest.raises(ConfigurationError, match='inference_size.*expected auto.*640x480'):
        InferenceSize(option)  # type: ignore[arg-type]


def test_a_large_image_is_seen_at_the_models_size_and_gets_a_mask_of_its_own() -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(VARIANTS['tiny']('camvid', 11), image_size=(64, 48))
    net = SegmentationNetwork(config).eval()
    seen: list[tuple[int, ...]] = []
    net.backbone.stem.register_forward_pre_hook(
        lambda _module, inputs: seen.append(tuple(inputs[0].shape)))
    with pipeline_of(net, flip_averaging=False) as pipeline:
        mask = pipeline.step(Frame(moving_blocks(128, 96, 1)[0], 0)).mask
    assert seen == [(1, 3, 48, 64)] and mask.shape == (96, 128)


def test_an_image_too_small_for_features_is_an_error() -> None:
    with pipeline_of(network(False)) as pipeline, pytest.raises(ImageError, match='15x40.*16x16'):
        pipeline.step(Frame(np.zeros((40, 15, 3), np.uint8), 0))
