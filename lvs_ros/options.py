# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Every option of the pipeline and of the node, once: default, meaning, unit, range, choices.

From these two tables come what is accepted, the node's parameters, the options of the commands
and ``config/lvs.yaml``, which ``python -m lvs_ros.options > config/lvs.yaml`` writes.
"""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from typing import Any, Callable, Mapping

from lvs_ros.errors import ConfigurationError
from lvs_ros.pipeline.pixel_limit import FILE_PIXELS, MAX_PIXELS

_KINDS = {float: 'a number', int: 'a whole number', str: 'a string', bool: 'true or false'}
_COLUMNS = 99    # of lvs.yaml
LONGEST_FORECAST_S = 0.5
"""Over a longer time, motion does not go on as it was."""


@dataclasses.dataclass(frozen=True)
class Option:
    """What an option means and what it may be.

    :param default: its type is that of every value; a tuple is a (width, height) in pixels
    :param description: for people, with the unit
    :param unit: of a number, where it has one
    :param minimum: smallest value; of a size, that of each side, and (0, 0) is allowed, too
    :param maximum: largest value
    :param choices: the only values
    :param check: raises ConfigurationError for a text that cannot be
    :param dynamic: may be changed while the node runs; takes effect on the next frame
    :param section: heading in lvs.yaml, where a section begins here
    """

    default: Any
    description: str
    unit: str = ''
    minimum: float = -math.inf
    maximum: float = math.inf
    choices: tuple[str, ...] = ()
    check: Callable[[Any], None] | None = None
    dynamic: bool = False
    section: str = ''

    def checked(self, name: str, value: Any) -> Any:
        """Return the value, of the default's type.

        :param name: of the option, for the error
        :raises ConfigurationError: it has another type, is out of range or no number.
        """
        if isinstance(self.default, tuple):
            return self._size(name, value)
        if isinstance(self.default, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(self.default):
            raise ConfigurationError(
                f'{name}: expected {_KINDS[type(self.default)]}, not {value!r}')
        if self.choices and value not in self.choices:
            raise ConfigurationError(f'{name}: {value!r} is none of {", ".join(self.choices)}')
        if self.check is not None:
            self.check(value)
        if isinstance(value, (int, float)) and not self.minimum <= value <= self.maximum:
            raise ConfigurationError(f'{name}: {value} is not between {self.minimum:g} and '
                                     f'{self.maximum:g}')
        return value

    def _size(self, name: str, value: Any) -> tuple[int, int]:
        try:
            width, height = value
        except (TypeError, ValueError):
            width = height = None
        if type(width) is int and type(height) is int and (
                width == height == 0 or self.minimum <= min(width, height)
                and max(width, height) <= self.maximum):
            return width, height
        raise ConfigurationError(
            f'{name}: expected [width, height] in whole pixels from {self.minimum} to '
            f'{self.maximum}, or [0, 0], not {value!r}')


def _check_inference_size(value: str) -> None:
    # Imported here, since the pipeline needs torch, which most users of this module do not.
    from lvs_ros.pipeline.inference_size import InferenceSize
    InferenceSize(value)


def _option(default: Any, description: str, **more: Any) -> Any:
    return dataclasses.field(
        default=default, metadata={'option': Option(default, description, **more)})


@dataclasses.dataclass(frozen=True)
class _Options:
    """Base of the tables.

    :raises ConfigurationError: a value cannot be; the message names all that cannot.
    """

    def __post_init__(self) -> None:
        problems = []
        for field in dataclasses.fields(self):
            try:
                value = field.metadata['option'].checked(field.name, getattr(self, field.name))
                object.__setattr__(self, field.name, value)
            except ConfigurationError as error:
                problems.append(str(error))
        if problems:
            raise ConfigurationError('; '.join(problems))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineOptions(_Options):
    """All settings of a pipeline; the node's parameters of the same names."""

    model: str = _option(
        'lite_camvid', 'Model: a name in config/models/ or the path of a .safetensors file.',
        section='The model')
    device: str = _option(
        'auto', 'Where the networks run: auto (a GPU if there is one), cpu, cuda, cuda:0 …')
    precision: str = _option(
        'auto', 'Arithmetic of the networks: float32, float16, bfloat16, or auto = what the '
        'device is best at: float16 on a GPU, bfloat16 on a CPU with AMX, else float32.',
        choices=('auto', 'float32', 'float16', 'bfloat16'))
    schedule: str = _option(
        'low_latency', 'When the accurate network, S_h, runs: low_latency (when the predicted '
        'deviation exceeds the threshold, in the background; no frame waits for it), adaptive '
        '(the same, in the foreground: that frame comes late), fixed (on every fixed_interval-th '
        'frame, in the foreground), every_frame (the most accurate and the slowest).',
        dynamic=True,
        choices=('low_latency', 'adaptive', 'fixed', 'every_frame'),
        section='Accuracy against cost')
    threshold: float = _option(
        0.1, 'Predicted fraction of pixels whose label has changed since the key frame, 0 to 1, '
        'above which a frame becomes the next key frame: smaller = more accurate, larger = '
        'cheaper.', minimum=0.0, maximum=1.0, dynamic=True)
    fixed_interval: int = _option(
        5, 'Frames from one key frame to the next with schedule: fixed.', unit='frames',
        minimum=1, maximum=1_000_000, dynamic=True)
    max_key_age_frames: int = _option(
        0, 'Age in frames at which a key frame is replaced whatever the deviation; 0 = never.',
        unit='frames', minimum=0, maximum=1_000_000, dynamic=True)
    inference_size: str = _option(
        'auto', 'Size at which the network sees the images: auto (images with more pixels than '
        "the model's training images are scaled down to as many), image (the image's own size, "
        'whatever it costs), or WIDTHxHEIGHT in pixels, such as 640x480. Masks have the size of '
        'the images in each case.', check=_check_inference_size)
    output_size: tuple[int, int] = _option(
        (0, 0), 'Width and height of the published mask in pixels; [0, 0] = those of the image.',
        minimum=16, maximum=16384)
    flip_averaging: bool = _option(
        True, 'The accurate network sees a key frame flipped, too, and the mean of both results '
        'is propagated: more accurate masks. With schedule: low_latency that is done where there '
        'is time before the next key frame; the other schedules always do it, and their key '
        'frames take twice as long.')
    forecast_s: float = _option(
        0.0, 'How far mask_forecast looks ahead of the image, in seconds; 0 = by the median time '
        'from image to image, so that it is for the time at which the next one comes. Where '
        f'images are more than {LONGEST_FORECAST_S:g} s apart, the mask is not moved.', unit='s',
        minimum=0.0, maximum=LONGEST_FORECAST_S, dynamic=True, section='Looking ahead')
    cpu_threads: int = _option(
        0, 'CPU threads of the networks; 0 = one for each CPU that affinity and cgroup limits '
        'allow. With up to 3, one thread at a time uses all of them, for a frame first, else for '
        'S_h; with more, each has some of its own.', unit='threads', minimum=0, maximum=1024,
        section='CPU')
    realtime_priority: int = _option(
        0, 'Real-time priority of the threads of a frame on a CPU, 1 to 99, where the system '
        'allows it (docs/troubleshooting.md): they go before all programs that have none, for '
        'four fifths of the time at most; 0 = none.', minimum=0, maximum=99)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodeOptions(_Options):
    """What the node itself, not the pipeline, needs to know."""

    labels: str = _option(
        '', 'Label set with other colours for the classes of the model: a name in config/labels/ '
        'or the path of a .yaml file; empty = the one that the model carries.',
        section='Images in, masks out')
    input_transport: str = _option(
        'raw', 'Which topic to subscribe to: image_raw, or image_raw/compressed (JPEG or PNG).',
        choices=('raw', 'compressed'))
    refined_mask: bool = _option(
        False, 'Publish ~/mask_refined, too: the mask of the same image once more, by its own '
        'features, where the accurate network has finished with it before the next image comes, '
        'and again after flip averaging. For slow cameras, with schedule: low_latency.')
    autoware_classes: str = _option(
        '', "Publish ~/mask/autoware, too: the mask in the form of Autoware's perception nodes. "
        'Which of their classes each class is: a name in config/autoware/ or the path of a .yaml '
        'file; empty = not published.')
    pause_without_subscribers: bool = _option(
        False, 'Leave images out while nobody subscribes to any output but label_info: the '
        'networks stand still. The first image after that is computed in full.', dynamic=True)
    max_pixels: int = _option(
        MAX_PIXELS, 'Width times height of the largest image that is taken; a larger one is '
        'dropped before it is decoded.', unit='pixels', minimum=256, maximum=FILE_PIXELS)
    stale_after_s: float = _option(
        0.0, 'Age in seconds (stamp to publishing) from which status.stale is set; 0 = never. '
        "It needs stamps of the node's own clock; a frame whose age cannot be told is stale.",
        unit='s', minimum=0.0, maximum=3600.0, dynamic=True)
    autostart: bool = _option(
        True, 'Configure and activate on start-up; false leaves that to a lifecycle manager.',
        section='Start-up and supervision')
    warm_up_size: tuple[int, int] = _option(
        (480, 360), "Width and height of the camera's images, in pixels: the network is run once "
        'at this size before the node becomes active, so that no frame meets a first-call cost; '
        '[0, 0] = off.', minimum=16, maximum=16384)
    diagnostics_period_s: float = _option(
        1.0, 'Seconds between two messages on /diagnostics.', unit='s', minimum=0.1, maximum=60.0)
    watchdog_s: float = _option(
        10.0, 'Where images arrive and none has been finished for so many seconds, the process '
        'ends with exit code 1, so that it can be started again; 0 = never. '
        'Has to be longer than the slowest frame takes.',
        unit='s', minimum=0.0, maximum=3600.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if math.prod(self.warm_up_size) > self.max_pixels:
            raise ConfigurationError(f'warm_up_size: {list(self.warm_up_size)} has more than '
                                     f'max_pixels, {self.max_pixels}')


OPTIONS: Mapping[str, Option] = {
    field.name: field.metadata['option'] for table in (PipelineOptions, NodeOptions)
    for field in dataclasses.fields(table)}
"""Every option, by name."""

SCHEDULES = OPTIONS['schedule'].choices

_BY_THE_THREADS = 'leave it out, or set cpu_threads: how the networks share them follows from it'
_NOTHING = 'leave it out: nothing has to be set in its place'
_SIMULATED = 'leave it out; lvs replay and lvs evaluate simulate a delay with --slow-delay-s'
GONE: Mapping[str, str] = {
    'mirror': 'it is called flip_averaging now (--[no-]flip-averaging)',
    'cpu_sharing': _BY_THE_THREADS,
    'fast_threads': _BY_THE_THREADS,
    'slow_threads': _BY_THE_THREADS,
    'bind_threads': _NOTHING,
    'rehearse': _NOTHING,
    'slow_policy': _NOTHING,
    'slow_track': _SIMULATED,
    'slow_delay_s': _SIMULATED,
}
"""Options of earlier versions, and what to do instead."""

_HEAD = """\
# Parameters of the node lvs, each with its default.
# Written by: python -m lvs_ros.options > config/lvs.yaml
#   ros2 launch lvs_ros lvs.launch.py params_file:=my_lvs.yaml
#
# [dynamic] can be changed while the node runs and takes effect on the next frame:
#   ros2 param set /lvs threshold 0.2
# All others are fixed at start-up. A wrong value stops the node with the reason; a misspelt name
# is reported in the log.

/**:
  ros__parameters:
"""

_FOOT = """
    # --- Quality of service, by the full (remapped) name of a topic, such as ---

    # qos_overrides./image_raw.subscription.reliability: reliable
    # qos_overrides./lvs/mask.publisher.depth: 2
"""


def parameter_file() -> str:
    """Return the text of ``config/lvs.yaml``."""
    text = _HEAD
    for name, option in OPTIONS.items():
        if option.section:
            text += f'\n    # --- {option.section} ---\n\n'
        mark = '[dynamic] ' if option.dynamic else ''
        comment = textwrap.fill(mark + option.description, _COLUMNS, initial_indent='    # ',
                                subsequent_indent='    # ')
        text += f'{comment}\n    {name}: {json.dumps(option.default)}\n'
    return text + _FOOT


if __name__ == '__main__':
    print(parameter_file(), end='')
