# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Compressed pictures: whole ones equal OpenCV's, damaged and monstrous ones are refused."""

import io
import pathlib
import random
import re
import struct
from typing import Any, Callable, Iterator
import zlib

import bags
import cv2
import numpy as np
from PIL import Image
import pytest
import simplejpeg

from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.errors import DatasetError, ImageError
from lvs_ros.pipeline.encodings import decode_compressed, image_view
from lvs_ros.pipeline.pixel_limit import MAX_PIXELS
from lvs_ros.recordings.recorded_message import RecordedMessage

HEIGHT, WIDTH = 120, 160
END = b'\xff\xd9'


def scene() -> np.ndarray:
    """Return (H, W, 3) uint8 with edges and texture, so that all of a JPEG is about as dense."""
    rng = np.random.default_rng(5)
    blocks = np.kron(rng.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3)), np.ones((8, 8, 1)))
    return np.clip(blocks + rng.normal(0, 12, blocks.shape), 0, 255).astype(np.uint8)


SCENE = scene()


def encoded(extension: str, *parameters: int, image: np.ndarray = SCENE) -> bytes:
    ok, data = cv2.imencode(extension, image, parameters)
    assert ok
    return data.tobytes()


def pillow(kind: str, mode: str = 'RGB', **options: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(SCENE).convert(mode).save(data, kind, **options)
    return data.getvalue()


def by_opencv(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8),
                         cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert image is not None
    return image


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack('>BBH', 0xFF, marker, len(content) + 2) + content


def without_tables(data: bytes) -> bytes:
    """Leave out the Huffman tables, as UVC cameras do."""
    out, at = data[:2], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2:at + 4], 'big')
        out += b'' if data[at + 1] == 0xC4 else data[at:end]
        at = end
    return out + data[at:]


JPEG = encoded('.jpg')
PROGRESSIVE = encoded('.jpg', cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
RESTARTS = encoded('.jpg', cv2.IMWRITE_JPEG_RST_INTERVAL, 10)
THUMBNAIL = segment(0xE1, b'Exif\0\0' + encoded('.jpg', image=SCENE[::4, ::4].copy()))
WITH_THUMBNAIL = JPEG[:2] + THUMBNAIL + JPEG[2:]
SCAN = JPEG.index(b'\xff\xda')

SAMPLED = {
    name: encoded('.jpg', cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
                  getattr(cv2, 'IMWRITE_JPEG_SAMPLING_FACTOR_' + name.replace(':', '')))
    for name in ('4:4:4', '4:2:2', '4:4:0', '4:1:1')
    if hasattr(cv2, 'IMWRITE_JPEG_SAMPLING_FACTOR')}    # not in OpenCV 4.6, Ubuntu 24.04's
WHOLE_JPEGS = {
    'plain': JPEG,
    'progressive': PROGRESSIVE,
    'restart markers': RESTARTS,
    'grey': encoded('.jpg', image=SCENE[..., 0].copy()),
    **SAMPLED,
    'tables of its own': encoded('.jpg', cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    'no Huffman tables': without_tables(JPEG),
    'CMYK': pillow('JPEG', 'CMYK'),
    'red, green, blue': pillow('JPEG', keep_rgb=True),
    'bytes behind the end': JPEG + bytes(range(256)),
    'another behind it': JPEG + encoded('.jpg', image=SCENE[::-1].copy()),
    'thumbnail': WITH_THUMBNAIL,
    'EXIF orientation': JPEG[:2] + segment(
        0xE1, b'Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0') + JPEG[2:],
    'fill bytes': JPEG[:2] + b'\xff\xff\xff' + JPEG[2:-2] + b'\xff\xff' + END,
    'padding before the end': JPEG[:-2] + bytes(12) + END,
    'a block of padding before the end': PROGRESSIVE[:-2] + bytes(60) + END,
    'bytes between segments': JPEG[:SCAN] + b'\1\2\3' + JPEG[SCAN:],
    'JFIF of the future': JPEG.replace(b'JFIF\0\1', b'JFIF\0\7'),
    'odd parameters of the scan': JPEG[:SCAN + 11] + b'\0\0\0' + JPEG[SCAN + 14:],
    'odd in two ways': JPEG.replace(b'JFIF\0\1', b'JFIF\0\7')[:-2] + bytes(10) + END,
}


@pytest.mark.parametrize('case', WHOLE_JPEGS)
def test_whole_jpegs_have_the_pixels_that_opencv_finds(case: str) -> None:
    image, order = decode_compressed(WHOLE_JPEGS[case], 'jpeg')
    assert order == 'bgr'
    np.testing.assert_array_equal(image, by_opencv(WHOLE_JPEGS[case]))


def third_gone(data: bytes) -> bytes:
    return data[:len(data) // 3] + data[2 * len(data) // 3:]


def third_zero(data: bytes) -> bytes:
    third = len(data) // 3
    return data[:third] + bytes(third) + data[2 * third:]


def half(data: bytes) -> bytes:
    return data[:len(data) // 2]


def scans(data: bytes, count: int) -> bytes:
    """Keep this many scans, each of them whole."""
    starts = [found.start() for found in re.finditer(b'\xff\xda', data)]
    return data[:starts[count]] + END


DAMAGED_JPEGS = {
    **{f'{name}, {what.__name__.replace("_", " ")}': what(data) + END
       for name, data in (('plain', JPEG), ('restart markers', RESTARTS),
                          ('progressive', PROGRESSIVE), ('thumbnail', WITH_THUMBNAIL),
                          ('no Huffman tables', without_tables(JPEG)),
                          ('CMYK', pillow('JPEG', 'CMYK')),
                          *list(SAMPLED.items())[:1], ('grey', WHOLE_JPEGS['grey']))
       for what in (half, third_gone, third_zero)},
    'cut short, with the end of a thumbnail': half(WITH_THUMBNAIL),
    'no end marker': JPEG[:-2],
    'cut at a restart marker': RESTARTS[:RESTARTS.index(b'\xff\xd4')] + bytes(7) + END,
    'bytes of another picture before the end': JPEG[:-2] + JPEG[SCAN + 14:SCAN + 214] + END,
    'its first scan alone': scans(PROGRESSIVE, 1),
    'half of its scans': scans(PROGRESSIVE, 5),
    'all scans but the last': scans(PROGRESSIVE, 9),
    'odd header, and half': half(WHOLE_JPEGS['JFIF of the future']) + END,
    'no pixels': JPEG[:SCAN] + END,
    'start marker': JPEG[:3],
    'start and end marker': b'\xff\xd8\xff\xd9',
}


@pytest.mark.parametrize('case', DAMAGED_JPEGS)
def test_a_part_of_a_jpeg_is_refused(case: str) -> None:
    with pytest.raises(ImageError, match='truncated or damaged'):
        decode_compressed(DAMAGED_JPEGS[case], 'jpeg')


def test_wherever_a_large_part_of_a_jpeg_is_gone_it_is_refused() -> None:
    rng = random.Random(4)
    for data in (JPEG, RESTARTS, PROGRESSIVE):
        for _ in range(60):
            start = rng.randrange(data.index(b'\xff\xda') + 20, len(data) * 3 // 4)
            with pytest.raises(ImageError):
                decode_compressed(data[:start] + data[start + len(data) // 5:-2] + END, 'jpeg')


def chunk(name: bytes, content: bytes) -> bytes:
    return (struct.pack('>I', len(content)) + name + content
            + struct.pack('>I', zlib.crc32(name + content)))


SIGNATURE = b'\x89PNG\r\n\x1a\n'
ROWS = b''.join(b'\0' + row[:, ::-1].tobytes() for row in SCENE)


def png(*extra: bytes, width: int = WIDTH, height: int = HEIGHT, depth: int = 8, colour: int = 2,
        pixels: bytes = zlib.compress(ROWS)) -> bytes:
    """Make a PNG by hand, with more chunks before the pixels."""
    header = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0)
    return b''.join((SIGNATURE, chunk(b'IHDR', header), *extra, chunk(b'IDAT', pixels),
                     chunk(b'IEND', b'')))


ANIMATION = (chunk(b'acTL', struct.pack('>II', 2, 0)),
             chunk(b'fcTL', struct.pack('>IIIIIHHBB', 0, WIDTH, HEIGHT, 0, 0, 1, 9, 0, 0)))
WHOLE_OTHERS = {
    'PNG': encoded('.png'),
    'PNG of 16 bits': encoded('.png', image=SCENE.astype(np.uint16) * 256 + 99),
    'PNG with alpha': encoded('.png', image=np.dstack([SCENE, SCENE[..., :1]])),
    'PNG of two levels': encoded('.png', cv2.IMWRITE_PNG_BILEVEL, 1, image=SCENE[..., 0].copy()),
    'PNG with a palette': pillow('PNG', 'P'),
    'PNG with texts': png(chunk(b'tEXt', b'Comment\0x'), chunk(b'gAMA', bytes(4)),
                          chunk(b'tRNS', bytes(6)), chunk(b'pHYs', bytes(9))),
    'PNG animation': png(*ANIMATION),
    'WebP': encoded('.webp', cv2.IMWRITE_WEBP_QUALITY, 80),
    'WebP without loss': encoded('.webp', cv2.IMWRITE_WEBP_QUALITY, 101),
    'WebP with alpha': encoded('.webp', cv2.IMWRITE_WEBP_QUALITY, 80,
                               image=np.dstack([SCENE, SCENE[..., :1]])),
    'BMP': encoded('.bmp'),
    'TIFF': encoded('.tiff'),
    'TIFF as it is': encoded('.tiff', cv2.IMWRITE_TIFF_COMPRESSION, 1),
    'TIFF of Pillow': pillow('TIFF', compression='tiff_deflate'),
}


@pytest.mark.parametrize('case', WHOLE_OTHERS)
def test_other_pictures_are_as_opencv_finds_them_and_refused_when_cut(case: str) -> None:
    data = WHOLE_OTHERS[case]
    image, _ = decode_compressed(data + bytes(20), '')
    np.testing.assert_array_equal(image, by_opencv(data))
    for length in (4, 8, 12, 20, 33, 60, len(data) // 2, len(data) - 100, len(data) - 3):
        if case == 'TIFF of Pillow' and length > len(data) // 2:
            continue    # its last bytes are no pixels
        with pytest.raises(ImageError):
            decode_compressed(data[:length], '')


@pytest.mark.parametrize('data', [encoded('.jp2'), pillow('GIF'), encoded('.ppm'),
                                  encoded('.ras')], ids=['.jp2', '.gif', '.ppm', '.ras'])
def test_formats_whose_size_is_not_read_are_named(data: bytes) -> None:
    with pytest.raises(ImageError, match='it is a .*expected a JPEG or PNG'):
        decode_compressed(data, '')


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no decoder be called: what is refused has cost nothing yet."""
    def called(*_: Any, **__: Any) -> Any:
        raise AssertionError('the picture was decoded')

    monkeypatch.setattr(cv2, 'imdecode', called)
    monkeypatch.setattr(simplejpeg, 'decode_jpeg', called)
    monkeypatch.setattr(cv2, 'cvtColor', called)
    yield


def patched(data: bytes, at: int, format: str, *values: int) -> bytes:
    return data[:at] + struct.pack(format, *values) + data[at + struct.calcsize(format):]


def tiff_with(tag: int, value: int) -> bytes:
    data = WHOLE_OTHERS['TIFF']
    directory, = struct.unpack_from('<I', data, 4)
    count, = struct.unpack_from('<H', data, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        if struct.unpack_from('<H', data, entry)[0] == tag:
            return patched(data, entry + 2, '<HII', 4, 1, value)
    raise AssertionError(f'no tag {tag}')


LARGE = 12_000
MONSTERS: dict[str, Callable[[], bytes]] = {
    'JPEG': lambda: patched(JPEG, JPEG.index(b'\xff\xc0') + 5, '>HH', LARGE, LARGE),
    'progressive JPEG': lambda: patched(
        PROGRESSIVE, PROGRESSIVE.index(b'\xff\xc2') + 5, '>HH', LARGE, LARGE),
    'PNG': lambda: png(width=LARGE, height=LARGE, depth=1, colour=0,
                       pixels=zlib.compress(bytes(LARGE * (LARGE // 8 + 1)), 9)),
    'PNG of 4000x4000': lambda: png(width=4000, height=4000, colour=0,
                                    pixels=zlib.compress(bytes(4000 * 4001), 9)),
    'WebP': lambda: patched(WHOLE_OTHERS['WebP'], 26, '<HH', LARGE, LARGE),
    'WebP without loss': lambda: patched(WHOLE_OTHERS['WebP without loss'], 21, '<I', 0xFFFFFFF),
    'WebP with alpha': lambda: patched(WHOLE_OTHERS['WebP with alpha'], 24, '<HBHB',
                                       0xFFFF, 0, 0xFFFF, 0),
    'BMP': lambda: patched(encoded('.bmp'), 18, '<ii', LARGE, -LARGE),
    'TIFF': lambda: tiff_with(256, 1 << 30),
}


@pytest.mark.parametrize('case', MONSTERS)
def test_a_picture_that_is_too_large_is_not_decoded(case: str, no_decoder: None) -> None:
    with pytest.raises(ImageError, match=f'more than max_pixels, {MAX_PIXELS}'):
        decode_compressed(MONSTERS[case](), '')


@pytest.mark.parametrize('encoding', ['rgb8', 'mono16', 'bayer_rggb8', 'yuyv', 'nv12'])
def test_a_raw_image_that_is_too_large_is_not_converted(encoding: str, no_decoder: None) -> None:
    data = bytes(40 * 30 * 3)
    with pytest.raises(ImageError, match='image of 40x30 pixels: more than max_pixels, 1199'):
        image_view(data, height=30, width=40, encoding=encoding, step=len(data) // 30 // 3 * 2
                   if encoding in ('yuyv', 'mono16') else 40 if encoding != 'rgb8' else 120,
                   max_pixels=1199)


def test_the_limit_itself_is_taken() -> None:
    image, _ = decode_compressed(JPEG, '', max_pixels=WIDTH * HEIGHT)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image_view(bytes(1200), height=30, width=40, encoding='mono8', step=40,
                      max_pixels=1200)[0].shape == (30, 40)


BOMBS: dict[str, Callable[[], bytes]] = {
    **{f'PNG length, bit {bit}': lambda bit=bit: patched(  # type: ignore[misc]
        png(), png().index(b'IDAT') - 4, '>I', len(zlib.compress(ROWS)) | 1 << bit)
       for bit in (20, 27, 30, 31)},
    'PNG length of a text': lambda: patched(png(chunk(b'tEXt', b'a\0b')), 33, '>I', 1 << 30),
    'PNG pixels that inflate': lambda: png(pixels=zlib.compress(ROWS + bytes(20_000_000), 9)),
    'PNG of thousands of texts': lambda: png(*[chunk(b'tEXt', b'a\0b')] * 5000),
    'PNG of almost no bytes': lambda: png(width=3000, height=4000, pixels=zlib.compress(b'')),
    'JPEG of almost no bytes': lambda: patched(
        JPEG, JPEG.index(b'\xff\xc0') + 5, '>HH', 3000, 4000),
    'JPEG of a thousand scans': lambda: PROGRESSIVE[:-2] + PROGRESSIVE[
        PROGRESSIVE.rindex(b'\xff\xda'):-2] * 1000 + END,
    'JPEG segment': lambda: patched(JPEG, 4, '>H', 0xFFFF),
    'WebP length': lambda: patched(WHOLE_OTHERS['WebP'], 4, '<I', 0xFFFFFFF0),
    'TIFF strips of many rows': lambda: tiff_with(278, 0x7FFFFFFF),
}


@pytest.mark.parametrize('case', BOMBS)
def test_lengths_and_sizes_are_not_believed(case: str, no_decoder: None) -> None:
    with pytest.raises(ImageError):
        decode_compressed(BOMBS[case](), '')


def test_texts_that_inflate_do_not_reach_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    text = zlib.compress(bytes(10_000_000), 9)
    data = png(*[chunk(b'zTXt', b'a\0\0' + text)] * 20, chunk(b'iCCP', b'a\0\0' + text))
    decode = cv2.imdecode
    seen = []

    def watched(data: np.ndarray, flags: int) -> Any:
        seen.append(data.size)
        return decode(data, flags)

    monkeypatch.setattr(cv2, 'imdecode', watched)
    np.testing.assert_array_equal(decode_compressed(data, 'png')[0], SCENE)
    assert seen == [len(png())]


@pytest.mark.parametrize('format', [
    '16UC1; png compressed', '16UC1; png compressed ', '32FC1; tiff compressed', '16UC1;',
    '16UC1; compressedDepth png', '32FC1; compressedDepth', '32FC1; jpeg compressed bgr8',
    '16SC1; png compressed', 'compressedDepth', '32FC3; tiff compressed '])
def test_a_compressed_depth_picture_is_refused_as_depth(format: str) -> None:
    with pytest.raises(ImageError, match='depth.*subscribe to the colour camera'):
        decode_compressed(encoded('.png', image=SCENE[..., 0].astype(np.uint16)), format)


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1', '16SC1', '32SC1', '64FC1', '8SC3'])
def test_a_raw_depth_image_is_refused_as_depth(encoding: str) -> None:
    with pytest.raises(ImageError, match=f"'{encoding}': that is depth"):
        image_view(bytes(8000), height=10, width=10, encoding=encoding, step=80)


@pytest.mark.parametrize('text', ['x' * 5_000_000, 'rgb8\n\x1b[31mERROR\0' * 10_000])
def test_a_long_text_from_outside_is_cut_and_shown_in_one_line(text: str) -> None:
    for refuse in (lambda: image_view(bytes(10), height=1, width=1, encoding=text, step=3),
                   lambda: decode_compressed(b'', text)):
        with pytest.raises(ImageError) as caught:
            refuse()
        message = str(caught.value)
        assert len(message) < 1000 and message.isprintable()
        assert str(len(text) - 80) in message


def test_a_recorded_picture_is_taken_and_refused_as_by_the_node() -> None:
    def decode(data: bytes, *limit: int) -> np.ndarray:
        entry = bags.compressed_entry('/c', data, bags.S, format='jpeg')
        frame, _ = RecordedMessage(entry.topic, entry.msgtype, 0, bags.serialized(entry)).decode(
            *limit)
        return frame.image

    assert decode(JPEG).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageError, match='truncated or damaged'):
        decode(half(JPEG) + END)
    with pytest.raises(ImageError, match='more than max_pixels, 12582912'):
        decode(MONSTERS['PNG of 4000x4000']())
    with pytest.raises(ImageError, match='more than max_pixels, 100'):
        decode(JPEG, 100)


def test_half_a_file_of_a_data_set_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'frame.jpg'
    path.write_bytes(JPEG)
    np.testing.assert_array_equal(DriveFrame('', 0.0, path).load()[0][..., ::-1],
                                  by_opencv(JPEG))
    path.write_bytes(half(JPEG) + END)
    with pytest.raises(DatasetError, match='frame.jpg: cannot be read as an image .*damaged'):
        DriveFrame('', 0.0, path).load()


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    where = rng.randrange(min(len(data), rng.choice([40, 200, len(data)])))
    what = rng.randrange(4)
    if what == 0:
        changed[where] ^= 1 << rng.randrange(8)
    elif what == 1:
        del changed[where:where + rng.choice([1, 4, 100, len(data)])]
    elif what == 2:
        changed[where:where + 4] = rng.choice([b'\xff' * 4, bytes(4), rng.randbytes(4)])
    else:
        changed[where:where] = rng.randbytes(rng.choice([1, 4, 100]))
    return bytes(changed)


def test_no_picture_does_more_harm_than_to_be_refused() -> None:
    small = SCENE[:40, :48].copy()
    originals = [encoded('.jpg', image=small), png(*ANIMATION), encoded('.webp', image=small),
                 encoded('.jpg', cv2.IMWRITE_JPEG_PROGRESSIVE, 1, image=small),
                 encoded('.bmp', image=small), encoded('.tiff', image=small),
                 encoded('.png', image=small), pillow('GIF')]
    rng = random.Random(9)
    refused = 0
    for _ in range(1500):
        try:
            image, _ = decode_compressed(mutated(rng, rng.choice(originals)), 'jpeg')
            assert image.size <= 3 * MAX_PIXELS
        except ImageError as error:
            assert len(str(error)) < 1000
            refused += 1
    assert 500 < refused < 1500
