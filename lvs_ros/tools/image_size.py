# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Image sizes on the command line."""

import argparse
import re


def image_size(text: str) -> tuple[int, int]:
    """Read a size such as 480x360 as (width, height)."""
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is no size: expected WIDTHxHEIGHT in pixels, '
                                         'such as 480x360')
    return int(match[1]), int(match[2])
