# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What stands under each picture of an overlay video: time, key frame, and the classes' colours.

It stands under the picture, not on it, so that it covers nothing.
"""

import functools

import cv2
from matplotlib import font_manager
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lvs_ros.labels import Colour, LabelSet

_BACKGROUND, _TEXT, _FAINT, _KEY = (24, 24, 24), (240, 240, 240), (150, 150, 150), (255, 176, 0)
_LEAST_FONT, _MOST_FONT = 11, 26
_PICTURE_WIDTHS_A_FONT = 44


class Captions:
    """Captions of pictures of one size.

    :param label_set: of the masks
    :param title: what was run, to the right of the time where there is room
    :param size: (width, height) of the pictures, in pixels; others are scaled into it
    """

    def __init__(self, label_set: LabelSet, title: str, size: tuple[int, int]) -> None:
        self._size, self._title = size, title
        pixels = min(_MOST_FONT, max(_LEAST_FONT, size[0] // _PICTURE_WIDTHS_A_FONT))
        self._font = _font(pixels)
        self._line = pixels + pixels // 2
        self._pad = pixels // 2
        self._legend = self._drawn_legend(label_set)

    def under(self, picture: np.ndarray, *, time_s: float, key_age_frames: int) -> np.ndarray:
        """Return the picture with its caption.

        :param picture: (H, W, 3) uint8 RGB
        :param time_s: of the frame, from the beginning of the drive
        :param key_age_frames: frames since the key frame; 0 = it is one
        :return: (H', W, 3) uint8 RGB
        """
        return np.concatenate([_fitted(picture, self._size),
                               self._head(time_s, key_age_frames), self._legend])

    def _head(self, time_s: float, key_age_frames: int) -> np.ndarray:
        image, draw = self._strip(1)
        text = f'{time_s:.2f} s'
        draw.text((self._pad, self._pad // 2), text, _TEXT, self._font)
        # behind the longest time that there may be, so that it stays where it is
        x = self._pad + max(self._width('0000.00 s'), self._width(text)) + 2 * self._pad
        state = 'KEY FRAME' if key_age_frames == 0 else (
            f'key frame + {key_age_frames}' if key_age_frames > 0 else '')
        if key_age_frames == 0:
            draw.rectangle((x - self._pad // 2, 0, x + self._width(state) + self._pad // 2,
                            self._line), fill=_KEY)
        draw.text((x, self._pad // 2), state, _BACKGROUND if key_age_frames == 0 else _FAINT,
                  self._font)
        right = self._size[0] - self._pad - self._width(self._title)
        if right > x + self._width('key frame + 000') + self._pad:
            draw.text((right, self._pad // 2), self._title, _FAINT, self._font)
        return np.asarray(image)

    def _drawn_legend(self, label_set: LabelSet) -> np.ndarray:
        """Draw the classes, in columns; those that would need more than half a picture are not."""
        entries: list[tuple[str, Colour]] = list(zip(label_set.names, label_set.colours))
        swatch = self._line - self._pad
        column = swatch + 2 * self._pad + max(self._width(name) for name, _ in entries)
        columns = max(1, (self._size[0] - self._pad) // column)
        lines = min(-(-len(entries) // columns), max(1, self._size[1] // 2 // self._line))
        shown = len(entries) if len(entries) <= lines * columns else lines * columns - 1
        columns = -(-shown // lines) if shown == len(entries) else columns    # evenly
        image, draw = self._strip(lines)
        for place, (name, colour) in enumerate(entries[:shown]):
            x, y = self._pad + place % columns * column, place // columns * self._line
            draw.rectangle((x, y + self._pad // 2, x + swatch, y + self._pad // 2 + swatch - 2),
                           fill=colour, outline=_FAINT)
            draw.text((x + swatch + self._pad // 2, y + self._pad // 4), name, _TEXT, self._font)
        if shown < len(entries):
            place = shown % columns * column
            draw.text((self._pad + place, (lines - 1) * self._line + self._pad // 4),
                      f'… {len(entries) - shown} more', _FAINT, self._font)
        return np.asarray(image)

    def _strip(self, lines: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        image = Image.new('RGB', (self._size[0], lines * self._line + self._pad), _BACKGROUND)
        return image, ImageDraw.Draw(image)

    def _width(self, text: str) -> int:
        return round(self._font.getlength(text))


@functools.cache
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    # comes with matplotlib; OpenCV's own has ASCII alone
    return ImageFont.truetype(font_manager.findfont('DejaVu Sans'), pixels)


def _fitted(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale a picture into a size, between bars where its shape is another one."""
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    fitted = np.zeros((size[1], size[0], 3), np.uint8)
    fitted[top:top + inner[1], left:left + inner[0]] = cv2.resize(
        picture, inner, interpolation=cv2.INTER_AREA)
    return fitted
