# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Finds out that pictures of an H.264 stream are missing, which FFmpeg would cover up.

Pictures that others refer to are numbered (``frame_num``; ITU-T H.264, 7.3.2.1, 7.3.3, 7.4.3).
"""

from typing import Iterator, Optional

_HIGH_PROFILES = (44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244)
_SLICE, _IDR, _SPS = 1, 5, 7


class _Bits:
    """Reads a unit bit by bit; zeros beyond its end."""

    def __init__(self, unit: bytes) -> None:
        payload = unit.replace(b'\0\0\3', b'\0\0')    # bytes that keep start codes away
        self._bits = ''.join(f'{byte:08b}' for byte in payload)
        self._at = 0

    def number(self, length: int) -> int:
        bits = self._bits[self._at:self._at + length].ljust(length, '0')
        self._at += length
        return int(bits, 2) if length else 0

    def golomb(self) -> int:
        zeros = 0
        while zeros < 32 and not self.number(1):
            zeros += 1
        return (1 << zeros) - 1 + self.number(zeros)

    def signed_golomb(self) -> int:
        value = self.golomb()
        return (value + 1) // 2 if value % 2 else -(value // 2)


class FrameNumbers:
    """Follows the numbers of a stream."""

    def __init__(self) -> None:
        self._length: Optional[int] = None    # bits of frame_num; None: gaps are allowed
        self._planes = False
        self._last: Optional[int] = None    # of the last picture that others refer to

    def missing(self, units: Iterator[bytes]) -> bool:
        """Tell whether pictures are missing before that in these units."""
        gap = False
        for unit in units:
            kind, referred_to = unit[0] & 0x1F, bool(unit[0] & 0x60)
            if kind == _SPS:
                self._read_parameters(_Bits(unit[1:200]))
            elif kind in (_SLICE, _IDR) and self._length is not None:
                bits = _Bits(unit[1:40])
                if bits.golomb():    # not the first slice of its picture
                    continue
                bits.golomb(), bits.golomb(), bits.number(2 if self._planes else 0)
                number = bits.number(self._length)
                if kind == _SLICE and self._last is not None:
                    gap |= (number - self._last) % (1 << self._length) > 1
                if referred_to:
                    self._last = number
        return gap

    def _read_parameters(self, bits: _Bits) -> None:
        """Read how long frame_num is from a sequence parameter set."""
        profile, _, _ = bits.number(8), bits.number(16), bits.golomb()
        self._planes = False
        if profile in _HIGH_PROFILES:
            chroma = bits.golomb()
            self._planes = chroma == 3 and bool(bits.number(1))
            bits.golomb(), bits.golomb(), bits.number(1)    # depths, bypass
            if bits.number(1):
                for index in range(12 if chroma == 3 else 8):
                    if bits.number(1):
                        _skip_scaling_list(bits, 16 if index < 6 else 64)
        length = bits.golomb() + 4
        order = bits.golomb()
        if order == 0:
            bits.golomb()
        elif order == 1:
            bits.number(1), bits.golomb(), bits.golomb()
            for _ in range(bits.golomb() % 256):
                bits.golomb()
        bits.golomb()    # number of reference pictures
        self._length = None if bits.number(1) else length


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
        last = following or last
