# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Image data as arrays: every encoding with padded rows, and what malformed data gives."""

import array
from typing import Any

import cv2
import numpy as np
import pytest

from lvs_ros.errors import ImageError
from lvs_ros.pipeline.encodings import (SUPPORTED_ENCODINGS, decode_compressed, image_view,
                                        is_supported)

HEIGHT, WIDTH = 6, 8
CHANNELS = {'rgb': 3, 'bgr': 3, 'rgba': 4, 'bgra': 4, 'mono': 1}


def padded(rows: np.ndarray, padding: int) -> bytes:
    """Write (R, B) uint8 rows one after another, each followed by ``padding`` bytes of 0xA5."""
    return b''.join(row.tobytes() + b'\xa5' * padding for row in rows)


def random_rows(rows: int, row_bytes: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (rows, row_bytes), dtype=np.uint8)


@pytest.mark.parametrize('padding', [0, 1, 24])
@pytest.mark.parametrize('encoding, order', [
    ('rgb8', 'rgb'), ('bgr8', 'bgr'), ('rgba8', 'rgba'), ('bgra8', 'bgra'), ('mono8', 'mono'),
    ('8UC1', 'mono'), ('8UC3', 'bgr'), ('8UC4', 'bgra')])
def test_eight_bit_encodings_are_views_that_honour_the_step(
        encoding: str, order: str, padding: int) -> None:
    row_bytes = WIDTH * CHANNELS[order]
    rows = random_rows(HEIGHT, row_bytes)
    data = array.array('B', padded(rows, padding))

    view, got_order = image_view(data, height=HEIGHT, width=WIDTH, encoding=encoding,
                                 step=row_bytes + padding)

    assert got_order == order
    assert view.dtype == np.uint8
    assert view.shape == ((HEIGHT, WIDTH) if order == 'mono' else
                          (HEIGHT, WIDTH, CHANNELS[order]))
    np.testing.assert_array_equal(view.reshape(HEIGHT, row_bytes), rows)
    assert np.shares_memory(view, np.frombuffer(data, np.uint8)), 'the image was copied'


@pytest.mark.parametrize('is_bigendian', [False, True])
@pytest.mark.parametrize('encoding, order', [
    ('mono16', 'mono'), ('rgb16', 'rgb'), ('bgr16', 'bgr'), ('rgba16', 'rgba'),
    ('bgra16', 'bgra')])
def test_sixteen_bit_encodings_keep_the_high_byte(
        encoding: str, order: str, is_bigendian: bool) -> None:
    channels = CHANNELS[order]
    values = np.random.default_rng(3).integers(0, 65536, (HEIGHT, WIDTH * channels))
    rows = values.astype('>u2' if is_bigendian else '<u2').view(np.uint8)
    step = 2 * WIDTH * channels + 10

    view, got_order = image_view(padded(rows, 10), height=HEIGHT, width=WIDTH, encoding=encoding,
                                 step=step, is_bigendian=is_bigendian)

    assert got_order == order
    np.testing.assert_array_equal(view.reshape(HEIGHT, -1), values // 256)


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('depth', [8, 16])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_mosaics_become_rgb(pattern: str, depth: int, padding: int) -> None:
    """A mosaic of one flat colour must interpolate to exactly that colour, everywhere."""
    colour = {'r': 200, 'g': 120, 'b': 30}
    mosaic = np.empty((HEIGHT, WIDTH), np.uint8)
    for index, letter in enumerate(pattern):
        mosaic[index // 2::2, index % 2::2] = colour[letter]
    rows = mosaic if depth == 8 else (mosaic.astype('<u2') * 256 + 255).view(np.uint8)

    image, order = image_view(padded(rows, padding), height=HEIGHT, width=WIDTH,
                              encoding=f'bayer_{pattern}{depth}', step=rows.shape[1] + padding)

    assert order == 'rgb'
    np.testing.assert_array_equal(image, np.broadcast_to([200, 120, 30], (HEIGHT, WIDTH, 3)))


def bt601(y: int, u: int, v: int) -> list[float]:
    """ITU-R BT.601 with video range, 8 bits."""
    luma = 1.164 * (y - 16)
    return [luma + 1.596 * (v - 128), luma - 0.813 * (v - 128) - 0.391 * (u - 128),
            luma + 2.018 * (u - 128)]


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('encoding, template', [
    ('uyvy', 'uyvy'), ('yuv422', 'uyvy'), ('yuyv', 'yuyv'), ('yuv422_yuy2', 'yuyv')])
def test_packed_yuv_becomes_rgb(encoding: str, template: str, padding: int) -> None:
    y, u, v = 120, 100, 160
    row = [{'y': y, 'u': u, 'v': v}[letter] for letter in template] * (WIDTH // 2)
    rows = np.array([row] * HEIGHT, np.uint8)

    image, order = image_view(padded(rows, padding), height=HEIGHT, width=WIDTH,
                              encoding=encoding, step=2 * WIDTH + padding)

    assert order == 'rgb'
    np.testing.assert_allclose(image, np.broadcast_to(bt601(y, u, v), image.shape), atol=1.5)


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('encoding, pair', [('nv12', [100, 160]), ('nv21', [160, 100])])
def test_planar_yuv_becomes_rgb(encoding: str, pair: list[int], padding: int) -> None:
    luma = np.full((HEIGHT, WIDTH), 120, np.uint8)
    chroma = np.array([pair * (WIDTH // 2)] * (HEIGHT // 2), np.uint8)
    data = padded(np.vstack([luma, chroma]), padding)

    image, order = image_view(data, height=HEIGHT, width=WIDTH, encoding=encoding,
                              step=WIDTH + padding)

    assert order == 'rgb'
    assert image.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(image, np.broadcast_to(bt601(120, 100, 160), image.shape),
                               atol=1.5)


def test_longer_data_and_an_unpadded_last_row_are_fine() -> None:
    rows = random_rows(HEIGHT, WIDTH)
    arguments: dict[str, Any] = dict(height=HEIGHT, width=WIDTH, encoding='mono8', step=WIDTH + 4)
    data = padded(rows, 4)
    np.testing.assert_array_equal(image_view(data + bytes(100), **arguments)[0], rows)
    np.testing.assert_array_equal(image_view(data[:-4], **arguments)[0], rows)
    with pytest.raises(ImageError):
        image_view(data[:-5], **arguments)


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview,
                                  lambda data: np.frombuffer(data, np.uint8)])
def test_any_buffer_will_do(kind: Any) -> None:
    rows = random_rows(HEIGHT, WIDTH * 3)
    view, _ = image_view(kind(rows.tobytes()), height=HEIGHT, width=WIDTH, encoding='rgb8',
                         step=WIDTH * 3)
    np.testing.assert_array_equal(view.reshape(HEIGHT, -1), rows)


@pytest.mark.parametrize('change, expected', [
    ({'height': 0}, 'at least 1'),
    ({'width': 0}, 'at least 1'),
    ({'height': 7}, '144 bytes of data: 168 bytes are needed'),
    ({'height': 2**32 - 1, 'width': 2**32 - 1, 'step': 2**32 - 1}, 'a row needs at least'),
    ({'step': 0}, 'a row needs at least 24 bytes'),
    ({'step': 23}, 'a row needs at least 24 bytes'),
    ({'step': 32}, '144 bytes of data: 184 bytes are needed'),
    ({'encoding': 'rgba8'}, 'a row needs at least 32 bytes'),
    ({'encoding': ''}, 'unknown encoding'),
    ({'encoding': 'RGB8'}, 'did you mean rgb8'),
    ({'encoding': '32FC1'}, 'unknown encoding'),
    ({'encoding': 'uyvy', 'width': 7}, 'width of this encoding must be even'),
    ({'encoding': 'nv12', 'height': 5}, 'height of this encoding must be even'),
    ({'encoding': 'bayer_rggb8', 'width': 2, 'height': 2}, '3x3'),
])
def test_malformed_images_are_refused_with_the_reason(
        change: dict[str, Any], expected: str) -> None:
    fields: dict[str, Any] = dict(height=HEIGHT, width=WIDTH, encoding='rgb8',
                                  step=WIDTH * 3) | change
    with pytest.raises(ImageError, match=expected):
        image_view(bytes(HEIGHT * WIDTH * 3), **fields)


@pytest.mark.parametrize('encoding', SUPPORTED_ENCODINGS)
def test_no_data_is_refused_in_every_encoding(encoding: str) -> None:
    with pytest.raises(ImageError, match='0 bytes of data'):
        image_view(b'', height=HEIGHT, width=WIDTH, encoding=encoding, step=WIDTH * 8)


def test_depth_and_generic_encodings_are_not_taken_for_pictures() -> None:
    assert is_supported('bgr8')
    for encoding in ('16UC1', '32FC1', '8SC3', '8UC2', 'nv24', 'rgb'):
        assert not is_supported(encoding)


def encoded(extension: str, image: np.ndarray) -> bytes:
    ok, data = cv2.imencode(extension, image)
    assert ok
    return data.tobytes()


def smooth_bgr() -> np.ndarray:
    """Return a picture that survives JPEG: blue grows to the right, green down, little red."""
    rows, columns = np.mgrid[0:64, 0:96]
    return np.dstack([columns * 2, rows * 3, np.full_like(rows, 20)]).astype(np.uint8)


@pytest.mark.parametrize('format', ['png', 'bgr8; png compressed bgr8',
                                    'rgb8; png compressed bgr8'])
def test_png_comes_back_exactly(format: str) -> None:
    image, order = decode_compressed(array.array('B', encoded('.png', smooth_bgr())), format)
    assert order == 'bgr'
    np.testing.assert_array_equal(image, smooth_bgr())


def test_jpeg_comes_back_nearly() -> None:
    image, order = decode_compressed(encoded('.jpg', smooth_bgr()), 'jpeg')
    assert order == 'bgr'
    np.testing.assert_allclose(image.astype(int), smooth_bgr(), atol=12)


def test_a_format_that_says_red_is_first_is_believed() -> None:
    data = encoded('.png', smooth_bgr())
    assert decode_compressed(data, 'rgb8; png compressed rgb8')[1] == 'rgb'


def test_a_grey_png_becomes_three_equal_channels() -> None:
    grey = smooth_bgr()[..., 0]
    image, order = decode_compressed(encoded('.png', grey), 'mono8; png compressed ')
    assert order == 'bgr'
    np.testing.assert_array_equal(image, np.dstack([grey] * 3))


def test_a_compressed_mosaic_is_interpolated() -> None:
    mosaic = np.empty((8, 8), np.uint8)
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = 200, 30
    mosaic[0::2, 1::2] = mosaic[1::2, 0::2] = 120
    image, order = decode_compressed(encoded('.png', mosaic), 'bayer_rggb8; png compressed ')
    assert order == 'rgb'
    np.testing.assert_array_equal(image, np.broadcast_to([200, 120, 30], (8, 8, 3)))


@pytest.mark.parametrize('extension', ['.jpg', '.png'])
@pytest.mark.parametrize('keep', [0, 1, 10, 0.5, 0.9])
def test_truncated_compressed_images_are_refused(extension: str, keep: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    data = encoded(extension, noise)
    short = data[:keep if isinstance(keep, int) else int(len(data) * keep)]
    with pytest.raises(ImageError, match='0 bytes of data|cannot be decoded|cannot decode'):
        decode_compressed(short, extension[1:])


def test_garbage_and_depth_are_refused() -> None:
    with pytest.raises(ImageError, match='cannot be decoded'):
        decode_compressed(bytes(range(256)) * 8, 'jpeg')
    with pytest.raises(ImageError, match='depth'):
        decode_compressed(b'x', '16UC1; compressedDepth png')
