#!/usr/bin/env python3
# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Draw the moving picture of the README: ``python scripts/moving_picture.py docs/demo.webp``.

The synthetic street, the masks of the pipeline over it, and below them the predicted deviation,
the threshold and the key frames. S_h takes 60 ms of the stamps' time, so that the masks are the
same on every machine.
"""

import pathlib
import sys

from matplotlib import font_manager
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lvs_ros import (Frame, PipelineOptions, SimulatedExecutor, StepStatus, StreetScene,
                     build_pipeline)

SEED, START_S, SECONDS, RATE_HZ, S_H_S = 185, 4.0, 7.0, 10, 0.06
SIZE, STRIP = (400, 300), 92    # of each of the two pictures; height of the curve below them
QUALITY = 55
BACKGROUND, TEXT, CURVE, LIMIT, KEY = '#181818', '#f0f0f0', '#6cb6ff', '#969696', '#ffb000'
MOST = 0.2    # deviation at the upper edge


def draw() -> list[Image.Image]:
    """Run the pipeline over the street; return a picture a frame."""
    scene = StreetScene(seed=SEED)
    statuses: list[StepStatus] = []
    pictures = []
    count = round(SECONDS * RATE_HZ)
    with build_pipeline(PipelineOptions(), executor=SimulatedExecutor(S_H_S)) as pipeline:
        labels = pipeline.config.labels_as(None)
        for index in range(count):
            image, _ = scene.render(START_S + index / RATE_HZ)
            result = pipeline.step(Frame(image=image, stamp_ns=round(index * 1e9 / RATE_HZ)))
            statuses.append(result.status)
            picture = Image.new('RGB', (2 * SIZE[0], SIZE[1] + STRIP), BACKGROUND)
            for place, content in enumerate((image, labels.overlay(image, result.mask,
                                                                   alpha=0.6))):
                picture.paste(Image.fromarray(np.ascontiguousarray(content)).resize(SIZE),
                              (place * SIZE[0], 0))
            draw_curve(ImageDraw.Draw(picture), statuses, count)
            pictures.append(picture)
    return pictures


def draw_curve(canvas: ImageDraw.ImageDraw, statuses: list[StepStatus], count: int) -> None:
    """Draw the predicted deviation of the frames until now below the pictures."""
    left, right, top, bottom = 12, 2 * SIZE[0] - 12, SIZE[1] + 28, SIZE[1] + STRIP - 8

    def at(index: int, deviation: float) -> tuple[float, float]:
        return (left + (right - left) * index / (count - 1),
                bottom - (bottom - top) * min(deviation, MOST) / MOST)

    threshold = statuses[-1].threshold
    canvas.line([at(0, threshold), at(count - 1, threshold)], fill=LIMIT)
    points = [at(index, one.deviation or 0.0) for index, one in enumerate(statuses)]
    if len(points) > 1:
        canvas.line(points, fill=CURVE, width=2)
    for (x, y), one in zip(points, statuses):
        if one.key_frame:
            canvas.ellipse([x - 4, y - 4, x + 4, y + 4], fill=KEY)
    # comes with matplotlib; Pillow's own is coarse
    font = ImageFont.truetype(font_manager.findfont('DejaVu Sans'), 13)
    x = float(left)
    for text, colour in (('predicted deviation', CURVE), ('threshold', LIMIT),
                         ('key frame: S_h runs in the background', KEY)):
        canvas.text((x, SIZE[1] + 7), text, colour, font)
        x += canvas.textlength(text, font) + 24
    if statuses[-1].key_frame:
        canvas.text((right, SIZE[1] + 7), 'KEY FRAME', KEY, font, anchor='ra')


def main() -> int:
    """Write the picture."""
    path = pathlib.Path(sys.argv[1])
    first, *rest = draw()
    first.save(path, save_all=True, append_images=rest, duration=round(1000 / RATE_HZ), loop=0,
               quality=QUALITY, method=4)
    print(f'{path}: {len(rest) + 1} pictures, {path.stat().st_size / 1e6:.2f} MB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
