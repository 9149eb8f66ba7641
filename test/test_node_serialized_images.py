# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Serialised images, as rclpy and (for the other byte order) rosbags write and read them."""

import array
import random
from typing import Any

import cv2
from hypothesis import given, settings, strategies
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from builtin_interfaces.msg import Time  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from lvs_ros.errors import ImageError  # noqa: E402
from lvs_ros.node.serialized_images import (SerializedHeader, read_compressed_image,  # noqa: E402
                                            read_header, read_image, write_image)
from lvs_ros.recordings.message_types import typestore  # noqa: E402

HEIGHT, WIDTH = 5, 7
FRAME_IDS = ['', 'c', 'ca', 'cam', 'came', 'camera_front', 'Kamera_übers_Dach']


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


def message(frame_id: str = 'camera', *, encoding: str = 'bgr8', padding: int = 2,
            is_bigendian: int = 0) -> Image:
    rows = pixels(HEIGHT, 3 * WIDTH + padding)
    return Image(header=Header(stamp=Time(sec=-12, nanosec=345), frame_id=frame_id),
                 height=HEIGHT, width=WIDTH, encoding=encoding, is_bigendian=is_bigendian,
                 step=rows.shape[1], data=array.array('B', rows.tobytes()))


def big_endian(original: Image) -> bytes:
    """Serialise with the higher byte first, by another library."""
    types = typestore().types
    stamp = types['builtin_interfaces/msg/Time'](sec=original.header.stamp.sec,
                                                 nanosec=original.header.stamp.nanosec)
    header = types['std_msgs/msg/Header'](stamp=stamp, frame_id=original.header.frame_id)
    image = types['sensor_msgs/msg/Image'](
        header=header, height=original.height, width=original.width, encoding=original.encoding,
        is_bigendian=original.is_bigendian, step=original.step,
        data=np.frombuffer(original.data, np.uint8))
    return bytes(typestore().serialize_cdr(image, 'sensor_msgs/msg/Image', little_endian=False))


@pytest.mark.parametrize('frame_id', FRAME_IDS)
@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', '8UC3'])
@pytest.mark.parametrize('serialize', [serialize_message, big_endian])
def test_reads_an_image_without_a_copy(frame_id: str, encoding: str, serialize: Any) -> None:
    original = message(frame_id, encoding=encoding)
    cdr = serialize(original)
    received = read_image(cdr)
    assert received.header.to_message() == original.header
    assert received.header.stamp_ns == received.frame.stamp_ns == -12 * 10**9 + 345
    assert received.frame.order == ('rgb' if encoding == 'rgb8' else 'bgr')
    rows = np.frombuffer(original.data, np.uint8).reshape(HEIGHT, -1)[:, :3 * WIDTH]
    np.testing.assert_array_equal(received.frame.image.reshape(HEIGHT, -1), rows)
    assert np.shares_memory(received.frame.image, np.frombuffer(cdr, np.uint8))
    assert received.frame.image.flags.writeable, 'the pipeline would copy it'


def test_an_image_outlives_its_message() -> None:
    original = message(padding=0)
    image = read_image(serialize_message(original)).frame.image
    kept = [bytes(len(original.data)) for _ in range(1000)]    # would take its place
    assert image.tobytes() == original.data.tobytes() and kept


@pytest.mark.parametrize('is_bigendian', [0, 1])
def test_reads_the_byte_order_of_the_pixels(is_bigendian: int) -> None:
    original = message(encoding='mono16', is_bigendian=is_bigendian)
    values = np.frombuffer(original.data, '>u2' if is_bigendian else '<u2', count=WIDTH)
    image = read_image(serialize_message(original)).frame.image
    np.testing.assert_array_equal(image[0], values // 256)


@pytest.mark.parametrize('format', ['png', 'rgb8; png compressed bgr8', 'bgr8;  png compressed '])
def test_reads_a_compressed_image(format: str) -> None:
    image = pixels(HEIGHT, WIDTH, 3)
    original = CompressedImage(header=message('cam').header, format=format)
    original.data.frombytes(cv2.imencode('.png', image)[1].tobytes())
    received = read_compressed_image(serialize_message(original))
    assert received.header.to_message() == original.header
    assert received.frame.order == 'bgr'
    np.testing.assert_array_equal(received.frame.image, image)


@pytest.mark.parametrize('frame_id', FRAME_IDS)
@pytest.mark.parametrize('image, encoding', [
    (pixels(HEIGHT, WIDTH), 'mono8'), (pixels(HEIGHT, WIDTH, 3), 'rgb8'),
    (pixels(WIDTH, HEIGHT).T, 'mono8'), (pixels(HEIGHT, 2 * WIDTH)[:, ::2], 'mono8')])
def test_writes_what_rclpy_reads(frame_id: str, image: np.ndarray, encoding: str) -> None:
    header = SerializedHeader(-12, 345, frame_id.encode())
    written = deserialize_message(write_image(image, header), Image)
    assert written.header == message(frame_id).header
    assert (written.height, written.width, written.encoding) == (HEIGHT, WIDTH, encoding)
    assert (written.is_bigendian, written.step) == (0, image[0].size)
    assert written.data.tobytes() == image.tobytes()


@pytest.mark.parametrize('serialize', [serialize_message, big_endian])
def test_a_header_goes_through_unchanged(serialize: Any) -> None:
    name = b'Kamera_\xfcbers_Dach'    # Latin-1: no text to rclpy
    cdr = serialize(message('Kamera_?bers_Dach')).replace(b'?', b'\xfc')
    header = read_header(cdr)
    assert (header.sec, header.nanosec, header.frame_id) == (-12, 345, name)
    assert read_header(write_image(pixels(HEIGHT, WIDTH), header)) == header
    assert header.to_message().frame_id == 'Kamera_\N{REPLACEMENT CHARACTER}bers_Dach'


@pytest.mark.parametrize('serialize', [serialize_message, big_endian])
def test_what_ends_too_early_is_malformed(serialize: Any) -> None:
    cdr = serialize(message())
    # rclpy adds up to three bytes behind the data.
    for length in range(cdr.rindex(bytes(message().data)) + len(message().data)):
        for read in (read_image, read_compressed_image):
            with pytest.raises(ImageError):
                read(cdr[:length])
    for length in range(cdr.index(b'camera') + len(b'camera')):
        with pytest.raises(ImageError):
            read_header(cdr[:length])


@pytest.mark.parametrize('first', [b'\0\2', b'\0\3', b'\1\0', b'\xff\xff'])
def test_other_formats_are_named(first: bytes) -> None:
    with pytest.raises(ImageError, match=f'begins with {first.hex(" ")} 00 00: expected CDR'):
        read_image(first + serialize_message(message())[2:])


CDR = bytearray(serialize_message(message()))


@settings(max_examples=300, deadline=None)
@given(strategies.lists(strategies.tuples(strategies.integers(0, 70),
                                          strategies.integers(0, 255)), max_size=6),
       strategies.integers(0, len(CDR)))
def test_no_message_does_more_harm_than_to_be_malformed(
        changes: list[tuple[int, int]], length: int) -> None:
    cdr = bytearray(CDR)
    for position, value in changes:
        cdr[position] = value
    for read in (read_image, read_compressed_image):
        try:
            image = read(bytes(cdr[:length])).frame.image
        except ImageError:
            continue
        assert image.min() >= 0    # every byte of it can be read


def test_a_malformed_message_of_an_unknown_encoding_is_malformed() -> None:
    """What is handed on to cv_bridge, where there is one, is read by rclpy as a message first."""
    rng = random.Random(3)
    originals = [serialize_message(message(frame_id, encoding=encoding))
                 for frame_id in ('', 'cam') for encoding in ('', 'nonsense', 'yuv')]
    for _ in range(4000):
        cdr = bytearray(rng.choice(originals))
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(80)
            cdr[at:at + 4] = rng.choice([b'\xff' * 4, bytes(4), rng.randbytes(4)])
        for read in (read_image, read_compressed_image, read_header):
            try:
                read(bytes(cdr))
            except ImageError as error:
                assert len(str(error)) < 1000
