# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a part of a coded video holds, by the headers of its units; nothing is decoded.

Of H.264 (ITU-T H.264, table 7-1) and H.265 (ITU-T H.265, table 7-1), as byte streams (Annex B);
of AV1 (its specification, 5.3 and 6.2.2) in the low-overhead format; of VP8 (RFC 6386, 9.1) and
VP9 (its specification, 6.2).
"""

import enum
import re
from typing import Iterator


class Content(enum.Enum):
    """What a part holds."""

    KEY_FRAME = 'a picture from which decoding can begin'
    PICTURE = 'a picture that needs others'
    PARAMETERS = 'no picture'


_H264_SLICES, _H264_IDR, _H264_SEI = range(1, 6), 5, 6
_SEI_RECOVERY_POINT = 6
_HEVC_SLICES, _HEVC_IRAP = range(0, 32), range(16, 24)
_PARAMETER_SETS = {'h264': (7, 8, 13, 15), 'hevc': (32, 33, 34)}
_AV1_SEQUENCE_HEADER, _AV1_PICTURES = 1, (3, 4, 6, 7)    # frame header, tile group, frame, copy
_START_CODE = re.compile(b'\0\0\1')


def content(codec: str, data: bytes) -> Content:
    """Tell what a part of a video holds.

    :param codec: 'h264', 'hevc', 'av1', 'vp9' or 'vp8'
    :param data: what looks like none of its units counts as a picture: the decoder will tell
    """
    if codec == 'h264':
        return _h264(data)
    if codec == 'hevc':
        types = [_hevc_type(data[at]) for at in _units(data)]
        return _content(key=any(one in _HEVC_IRAP for one in types),
                        picture=not types or any(one in _HEVC_SLICES for one in types))
    if codec == 'av1':
        obus = list(_obus(data))
        return _content(key=_AV1_SEQUENCE_HEADER in obus and _has_picture(obus),
                        picture=not obus or _has_picture(obus))
    if codec == 'vp9':
        return _content(key=_vp9_key(data), picture=True)
    return _content(key=bool(data) and not data[0] & 1, picture=True)


def parameter_sets(codec: str, data: bytes) -> bytes:
    """Cut out the units without which nothing that follows can be decoded; empty: there are none.

    :param codec: of those but 'h264' and 'hevc', a key frame comes with all that it needs
    """
    kinds, type_of = _PARAMETER_SETS.get(codec, ()), _h264_type if codec == 'h264' else _hevc_type
    starts = [at - 3 for at in _units(data)] if kinds else []
    return b''.join(data[start:end] for start, end in zip(starts, [*starts[1:], len(data)])
                    if type_of(data[start + 3]) in kinds)


def _h264_type(header: int) -> int:
    return header & 0x1F


def _hevc_type(header: int) -> int:
    return header >> 1 & 0x3F


def _content(*, key: bool, picture: bool) -> Content:
    return Content.KEY_FRAME if key else Content.PICTURE if picture else Content.PARAMETERS


def _units(data: bytes) -> Iterator[int]:
    """Yield where the NAL units of a byte stream begin."""
    return (match.end() for match in _START_CODE.finditer(data) if match.end() < len(data))


def _h264(data: bytes) -> Content:
    key = picture = False
    starts = list(_units(data))
    for at in starts:
        kind = _h264_type(data[at])
        picture |= kind in _H264_SLICES
        # An encoder with intra refresh or open groups of pictures sends no IDR picture.
        key |= kind == _H264_IDR or (kind == _H264_SEI
                                     and data[at + 1:at + 2] == bytes([_SEI_RECOVERY_POINT]))
    return _content(key=key and picture, picture=picture or not starts)


def _has_picture(obus: list[int]) -> bool:
    return any(one in _AV1_PICTURES for one in obus)


def _obus(data: bytes) -> Iterator[int]:
    """Yield the types of the units of AV1; up to where they do not fit."""
    at = 0
    while at < len(data):
        header = data[at]
        yield header >> 3 & 0xF
        at += 2 if header & 4 else 1    # with an extension
        if not header & 2:              # no size: the last one
            return
        size = shift = 0
        while at < len(data):
            size |= (data[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not data[at - 1] & 0x80:
                break
        at += size


def _vp9_key(data: bytes) -> bool:
    """Read frame_marker, profile, show_existing_frame and frame_type."""
    if not data or data[0] >> 6 != 2:
        return False
    bits = f'{data[0]:08b}'[2:]
    profile_3 = bits.startswith('11')    # which has a reserved bit behind it
    show_existing, frame_type = (bits[3], bits[4]) if profile_3 else (bits[2], bits[3])
    return show_existing == '0' and frame_type == '0'
