# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Image messages as arrays: encodings, row steps, compressed images; no ROS needed.

The field meanings are those of ``sensor_msgs/Image`` and ``sensor_msgs/image_encodings.hpp``; the
``format`` field of a compressed image is read as ``compressed_image_transport`` writes it.
Encodings that :func:`is_supported` denies are left to cv_bridge, where the node finds one.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, NamedTuple

import cv2
import numpy as np

from lvs_ros.errors import ImageError, shown
from lvs_ros.pipeline.pictures import decode_picture
from lvs_ros.pipeline.pixel_limit import MAX_PIXELS, check_pixels

Buffer = Any  # bytes, bytearray, memoryview, array.array('B'), a uint8 array


class _Packed(NamedTuple):
    """How the bytes of one pixel that needs no conversion lie."""

    channels: int
    bytes_per_channel: int
    order: str


# 8UC3 and 8UC4 say nothing about colours; as for cv_bridge, they are OpenCV's blue-green-red.
_PACKED = {
    'rgb8': _Packed(3, 1, 'rgb'),
    'bgr8': _Packed(3, 1, 'bgr'),
    'rgba8': _Packed(4, 1, 'rgba'),
    'bgra8': _Packed(4, 1, 'bgra'),
    'mono8': _Packed(1, 1, 'mono'),
    '8UC1': _Packed(1, 1, 'mono'),
    '8UC3': _Packed(3, 1, 'bgr'),
    '8UC4': _Packed(4, 1, 'bgra'),
    'rgb16': _Packed(3, 2, 'rgb'),
    'bgr16': _Packed(3, 2, 'bgr'),
    'rgba16': _Packed(4, 2, 'rgba'),
    'bgra16': _Packed(4, 2, 'bgra'),
    'mono16': _Packed(1, 2, 'mono'),
}
_BAYER = {
    'rggb': cv2.COLOR_BayerRGGB2RGB,
    'bggr': cv2.COLOR_BayerBGGR2RGB,
    'gbrg': cv2.COLOR_BayerGBRG2RGB,
    'grbg': cv2.COLOR_BayerGRBG2RGB,
}
_YUV422 = {
    'uyvy': cv2.COLOR_YUV2RGB_UYVY,
    'yuv422': cv2.COLOR_YUV2RGB_UYVY,
    'yuyv': cv2.COLOR_YUV2RGB_YUYV,
    'yuv422_yuy2': cv2.COLOR_YUV2RGB_YUYV,
}
_YUV420 = {
    'nv12': cv2.COLOR_YUV2RGB_NV12,
    'nv21': cv2.COLOR_YUV2RGB_NV21,
}
_BAYER_ENCODINGS = {f'bayer_{pattern}{bits}': (pattern, bits // 8)
                    for pattern in _BAYER for bits in (8, 16)}

# OpenCV's other types are depth or disparity far more often than a picture.
_DEPTH = re.compile('(8S|16U|16S|32S|32F|64F)C[0-9]*')

SUPPORTED_ENCODINGS = (*_PACKED, *_BAYER_ENCODINGS, *_YUV422, *_YUV420)
"""The encodings that :func:`image_view` understands."""

# The first word of a format that names a codec or an encoder of FFmpeg, by what it decodes with.
_VIDEO_CODECS = {
    'h264': re.compile(r'.*(h\.?264|x264|\bavc)', re.I),
    'hevc': re.compile(r'.*(h\.?265|x265|hevc)', re.I),
    'av1': re.compile('.*av1', re.I),
    'vp9': re.compile('.*vp9', re.I),
    'vp8': re.compile('.*(vp8|libvpx)', re.I),
}

# OpenCV fills a smaller mosaic with zeros instead of interpolating it.
_SMALLEST_MOSAIC = 3


def is_supported(encoding: str) -> bool:
    """Tell whether :func:`image_view` understands an encoding."""
    return encoding in SUPPORTED_ENCODINGS


def refuse_depth(encoding: str) -> None:
    """Raise :class:`~lvs_ros.errors.ImageError` for an encoding of depth, not of a picture."""
    if _DEPTH.fullmatch(encoding) or 'compressedDepth' in encoding:
        raise ImageError(f'image of unknown encoding {shown(encoding)}: that is depth, no picture '
                         'to segment; subscribe to the colour camera')


def video_codec(format: str) -> str | None:
    """Tell which codec of moving pictures a format names.

    :param format: the field ``format`` of a ``CompressedImage`` or of Foxglove's
        ``CompressedVideo`` ('h264', 'h265', …), or ``encoding`` of an ``FFMPEGPacket``
        ('hevc;yuv420p;bgr8;bgr8'; older versions name the encoder, 'libx264' for example).
    :returns: 'h264', 'hevc', 'av1', 'vp9' or 'vp8'; None for pictures that stand alone, and for
        what is not known.
    """
    return next((codec for codec, name in _VIDEO_CODECS.items() if name.match(format)), None)


def refuse_video(format: str) -> None:
    """Raise :class:`~lvs_ros.errors.ImageError` for a codec whose pictures need earlier ones."""
    codec = video_codec(format)
    if codec is not None:
        raise ImageError(
            f'compressed image of format {shown(format)}: that is coded video ({codec}), whose '
            'pictures cannot be decoded one by one; expected JPEG or PNG, or raw images. Have the '
            'driver publish these, or publish with ffmpeg_image_transport and decode on the way '
            f'to here: {REPUBLISH.format(transport="ffmpeg")}. A recording of it can be replayed, '
            'and played with "lvs play"')


REPUBLISH = ('ros2 run image_transport republish --ros-args -p in_transport:={transport} '
             '-p out_transport:=raw -r in/{transport}:=CODED_TOPIC -r out:=IMAGE_TOPIC')
"""The command that decodes video on its way to the node; ``transport`` is image_transport's."""


def image_view(data: Buffer, *, height: int, width: int, encoding: str, step: int,
               is_bigendian: bool = False, max_pixels: int = MAX_PIXELS
               ) -> tuple[np.ndarray, str]:
    """See the data of an image message as an array.

    The 8-bit colour and grey encodings come back as a view on ``data``, without a copy, whatever
    the row step; so do the 16-bit ones (their high bytes). Bayer and YUV images are converted to
    RGB by OpenCV. ``data`` may be longer than needed, and the last row may lack its padding.

    :param data: the bytes of the image, in any contiguous buffer.
    :param height: rows, in pixels.
    :param width: columns, in pixels.
    :param encoding: an encoding of ``sensor_msgs/image_encodings.hpp``.
    :param step: bytes from one row to the next.
    :param is_bigendian: byte order of the 16-bit encodings.
    :param max_pixels: the largest width times height.
    :returns: the image, (H, W, C) uint8, or (H, W) where it is grey, and its channel order:
        'rgb', 'bgr', 'rgba', 'bgra' or 'mono'.
    :raises ImageError: the data is too short, the size zero or odd where it must be even, the
        step too small, the image too large or the encoding unknown.
    """
    refuse_depth(encoding)
    if height < 1 or width < 1:
        raise ImageError(f'image of {width}x{height} pixels: width and height must be at least 1; '
                         'check the camera driver')
    shape = _Shape(height, width, encoding, step, max_pixels)
    if encoding in _PACKED:
        packed = _PACKED[encoding]
        return _packed_view(data, shape, packed, is_bigendian), packed.order
    if encoding in _BAYER_ENCODINGS:
        pattern, sample_bytes = _BAYER_ENCODINGS[encoding]
        mosaic = _packed_view(data, shape, _Packed(1, sample_bytes, 'mono'), is_bigendian)
        return _demosaic(mosaic, pattern), 'rgb'
    if encoding in _YUV422:
        _require_even(shape, width=width)
        rows = _rows(data, shape, count=height, row_bytes=2 * width)
        return _convert(rows.reshape(height, width, 2), _YUV422[encoding]), 'rgb'
    if encoding in _YUV420:
        _require_even(shape, width=width, height=height)
        # The plane of full rows (Y) is followed by half as many rows of interleaved U and V.
        rows = _rows(data, shape, count=height * 3 // 2, row_bytes=width)
        return _convert(rows, _YUV420[encoding]), 'rgb'
    raise ImageError(_unknown_encoding(encoding))


def decode_compressed(data: Buffer, format: str, *, max_pixels: int = MAX_PIXELS
                      ) -> tuple[np.ndarray, str]:
    """Decode a compressed image message: JPEG or PNG, or WebP, BMP or TIFF.

    The camera's own orientation is kept: an EXIF rotation is ignored, so that the mask has the
    geometry of the camera's calibration.

    :param data: the compressed bytes.
    :param format: as in ``sensor_msgs/CompressedImage``: 'jpeg', 'png', or for example
        'rgb8; jpeg compressed bgr8', where the first is the encoding before the compression.
    :param max_pixels: the largest width times height; nothing larger is decoded.
    :returns: the image, (H, W, 3) uint8, and its channel order, 'bgr' or 'rgb'.
    :raises ImageError: the data is empty, truncated, damaged, too large or no image, or holds no
        picture (depth), or one that needs earlier ones (video).
    """
    encoding, _, codec = (part.strip() for part in format.partition(';'))
    refuse_depth(encoding)
    refuse_depth(codec)
    refuse_video(format)
    payload = _bytes_of(data)
    if payload.size == 0:
        raise ImageError(f'compressed image of format {shown(format)} with 0 bytes of data; '
                         'check the camera driver')
    mosaic = _BAYER_ENCODINGS.get(encoding) if not codec.endswith('bgr8') else None
    image = decode_picture(payload.tobytes(), grey=mosaic is not None, max_pixels=max_pixels)
    if mosaic:
        return _demosaic(image, mosaic[0]), 'rgb'
    # A picture is decoded to blue-green-red. A publisher that compressed an RGB array as it was
    # says 'compressed rgb8': what comes out as "blue" is red.
    return image, 'rgb' if 'compressed rgb' in codec else 'bgr'


class _Shape(NamedTuple):
    """The fields of an image message that say how its data lies."""

    height: int
    width: int
    encoding: str
    step: int
    max_pixels: int

    def __str__(self) -> str:
        return f'{self.width}x{self.height} {self.encoding} image'


def _bytes_of(data: Buffer) -> np.ndarray:
    try:
        return np.frombuffer(data, dtype=np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise ImageError(f'image data of type {type(data).__name__} is no contiguous buffer of '
                         f'bytes: {error}') from error


def _rows(data: Buffer, shape: _Shape, *, count: int, row_bytes: int) -> np.ndarray:
    """View ``data`` as (count, row_bytes) uint8 without a copy, skipping the rows' padding."""
    if shape.step < row_bytes:
        raise ImageError(f'{shape} with step {shape.step}: a row needs at least {row_bytes} '
                         'bytes; check the camera driver')
    buffer = _bytes_of(data)
    needed = (count - 1) * shape.step + row_bytes
    if buffer.size < needed:
        raise ImageError(f'{shape} with {buffer.size} bytes of data: {needed} bytes are needed at '
                         f'step {shape.step}; the message is truncated or its size is wrong')
    check_pixels(shape.width, shape.height, shape.max_pixels)
    return np.lib.stride_tricks.as_strided(buffer, (count, row_bytes), (shape.step, 1))


def _packed_view(data: Buffer, shape: _Shape, packed: _Packed, is_bigendian: bool) -> np.ndarray:
    """View pixels that need no conversion as (H, W, C), or as (H, W) where C is 1."""
    pixel_bytes = packed.channels * packed.bytes_per_channel
    rows = _rows(data, shape, count=shape.height, row_bytes=shape.width * pixel_bytes)
    view = rows.reshape(shape.height, shape.width, packed.channels, packed.bytes_per_channel)
    # The high byte is the 8-bit value, off by at most one grey level from a rounded division.
    high = 0 if is_bigendian or packed.bytes_per_channel == 1 else packed.bytes_per_channel - 1
    view = view[..., high]
    return view[..., 0] if packed.channels == 1 else view


def _demosaic(mosaic: np.ndarray, pattern: str) -> np.ndarray:
    """Interpolate a Bayer mosaic, (H, W) uint8, to RGB."""
    if min(mosaic.shape) < _SMALLEST_MOSAIC:
        raise ImageError(f'Bayer image of {mosaic.shape[1]}x{mosaic.shape[0]} pixels: at least '
                         f'{_SMALLEST_MOSAIC}x{_SMALLEST_MOSAIC} are needed to interpolate it')
    return _convert(np.ascontiguousarray(mosaic), _BAYER[pattern])


def _require_even(shape: _Shape, **sizes: int) -> None:
    for name, size in sizes.items():
        if size % 2:
            raise ImageError(f'{shape}: the {name} of this encoding must be even, not {size}')


def _convert(array: np.ndarray, code: int) -> np.ndarray:
    try:
        return cv2.cvtColor(array, code)
    except cv2.error as error:
        raise ImageError(f'OpenCV cannot convert this image: {error}') from error


def _unknown_encoding(encoding: str) -> str:
    near = difflib.get_close_matches(encoding[:80].lower(), SUPPORTED_ENCODINGS, n=1)
    hint = f'did you mean {near[0]}? ' if near else ''
    return (f'image of unknown encoding {shown(encoding)}: {hint}'
            f'expected one of {", ".join(SUPPORTED_ENCODINGS)}')
