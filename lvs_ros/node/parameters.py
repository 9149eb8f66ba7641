# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node: one table of names, defaults, ranges and descriptions.

The names and defaults are the fields of :class:`NodeOptions` and of the pipeline's
:class:`~lvs_ros.pipeline.PipelineOptions`; what a user may know about each stands beside it.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from typing import Any, Callable, Mapping, Sequence

from rcl_interfaces.msg import (FloatingPointRange, IntegerRange, ParameterDescriptor,
                                SetParametersResult)
from rclpy.node import Node
from rclpy.parameter import Parameter

from lvs_ros.errors import ConfigurationError
from lvs_ros.pipeline import SCHEDULES, PipelineOptions
from lvs_ros.pipeline.inference_size import InferenceSize
from lvs_ros.pipeline.pixel_limit import FILE_PIXELS, MAX_PIXELS
from lvs_ros.pipeline.threads import CPU_SHARING, SLOW_POLICIES


@dataclasses.dataclass(frozen=True)
class About:
    """What a parameter means and what it may be.

    :param description: one sentence, with the unit.
    :param minimum: smallest value (of each element, for a list of numbers).
    :param maximum: largest value.
    :param choices: the only values, for a string.
    :param check: raises ConfigurationError for a value that cannot be.
    :param dynamic: may be changed while the node runs; takes effect on the next frame.
    """

    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[Any], Any] | None = None
    dynamic: bool = False


def _option(default: Any, about: About) -> Any:
    return dataclasses.field(default=default, metadata={'about': about})


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodeOptions:
    """What the node itself, not the pipeline, needs to know."""

    labels: str = _option('', About(
        'Label set: a name in config/labels/ or the path of a .yaml file; empty = the one that '
        'the model was trained with.'))
    input_transport: str = _option('raw', About(
        'Which topic to subscribe to: image_raw, or image_raw/compressed.',
        choices=('raw', 'compressed')))
    max_pixels: int = _option(MAX_PIXELS, About(
        'Width times height of the largest image that is taken; a larger one is dropped before '
        'it is decoded.', minimum=256, maximum=FILE_PIXELS))
    autostart: bool = _option(True, About(
        'Configure and activate on start-up; false leaves that to a lifecycle manager.'))
    warm_up_size: tuple[int, int] = _option((480, 360), About(
        "Width and height of the camera's images, in pixels: the network is run once at this size "
        'before the node becomes active, so that no frame meets a first-call cost; [0, 0] = off.',
        minimum=0, maximum=16384))
    stale_after_s: float = _option(0.0, About(
        'Age in seconds (stamp to publishing) from which status.stale is set; 0 = never.',
        minimum=0.0, maximum=3600.0, dynamic=True))
    diagnostics_period_s: float = _option(1.0, About(
        'Seconds between two messages on /diagnostics.', minimum=0.1, maximum=60.0))
    watchdog_s: float = _option(10.0, About(
        'Where images arrive and none has been finished for so many seconds, the process ends '
        'with exit code 1, so that it can be started again; 0 = never.',
        minimum=0.0, maximum=3600.0))


_ABOUT_PIPELINE = {
    'model': About(
        'Model: a name in config/models/ or the path of a .safetensors file.'),
    'schedule': About(
        'When the accurate network runs: low_latency (deviation above the threshold, in the '
        'background), adaptive (the same, in the foreground), fixed (every fixed_interval '
        'frames), every_frame.', choices=tuple(SCHEDULES), dynamic=True),
    'threshold': About(
        'Predicted fraction of pixels whose label has changed since the key frame, 0 to 1, above '
        'which a frame becomes the next key frame: smaller = more accurate, larger = cheaper.',
        minimum=0.0, maximum=1.0, dynamic=True),
    'fixed_interval': About(
        'Frames from one key frame to the next with schedule: fixed.',
        minimum=1, maximum=1_000_000, dynamic=True),
    'max_key_age_frames': About(
        'Age in frames at which a key frame is replaced whatever the deviation; 0 = never.',
        minimum=0, maximum=1_000_000, dynamic=True),
    'device': About('Where the networks run: auto (a GPU if there is one), cpu, cuda, cuda:0 …'),
    'precision': About(
        'Arithmetic of the networks; auto = what the device is best at: float16 on a GPU, '
        'bfloat16 on a CPU with AMX, else float32.',
        choices=('auto', 'float32', 'float16', 'bfloat16')),
    'inference_size': About(
        "Size at which the network sees the images: auto (at most that of the model's training "
        "images), image (the image's own), or WIDTHxHEIGHT in pixels, such as 640x480.",
        check=InferenceSize),
    'output_size': About(
        'Width and height of the published mask in pixels; [0, 0] = those of the image.',
        minimum=0, maximum=16384),
    'cpu_sharing': About(
        'How frames and background network share a CPU: turns (each on all cores in turn, the '
        'frames first), side_by_side (each on cores of its own), auto (turns up to 3 cores).',
        choices=CPU_SHARING),
    'fast_threads': About(
        'CPU threads of the network that runs on every frame; 0 = all cores, or side by side what '
        'slow_threads leaves.', minimum=0, maximum=1024),
    'slow_threads': About(
        'CPU threads of the accurate network in the background; 0 = all cores, or side by side '
        'half of them.', minimum=0, maximum=1024),
    'bind_threads': About(
        'In turns on all cores, each thread keeps to a core of its own; false = the system '
        'chooses.'),
    'realtime_priority': About(
        'Real-time priority of the threads of a frame on a CPU, 1 to 99, where the system allows '
        'it: they go before all programs that have none, for four fifths of the time at most; '
        '0 = none.', minimum=0, maximum=99),
    'rehearse': About(
        'In turns, some of what a frame needs is computed on an empty image shortly before the '
        'next one is expected, so that cores are awake and their caches warm.'),
    'mirror': About(
        'The accurate network sees the mirror image of a key frame, too, where there is time '
        'before the next one: more accurate masks. Schedules other than low_latency always take '
        'that time, and their key frames twice as long.'),
    'slow_policy': About(
        'How the background network competes for the CPU where it runs side by side: nice (yields '
        'to the frames), idle (only what is left over), normal.', choices=SLOW_POLICIES),
    'slow_track': About(
        'Where the accurate network runs: background, or inline (in turn, with a simulated delay: '
        'reproducible, for tests).', choices=('background', 'inline')),
    'slow_delay_s': About(
        'Seconds of stamp time after which the result of slow_track: inline arrives, and with '
        'mirror the second one after as long again.',
        minimum=0.0, maximum=60.0),
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A row of the table."""

    name: str
    default: Any
    about: About

    def descriptor(self) -> ParameterDescriptor:
        """Return what ``ros2 param describe`` shows."""
        about = self.about
        descriptor = ParameterDescriptor(name=self.name, description=about.description,
                                         read_only=not about.dynamic)
        # rclpy refuses a value of another type in terms of type numbers; convert() says it better.
        descriptor.dynamic_typing = about.dynamic
        if about.choices:
            descriptor.additional_constraints = 'One of: ' + ', '.join(about.choices)
        if about.minimum is None or about.maximum is None:
            return descriptor
        if isinstance(self.default, float):
            descriptor.floating_point_range = [FloatingPointRange(
                from_value=float(about.minimum), to_value=float(about.maximum))]
        else:
            descriptor.integer_range = [IntegerRange(
                from_value=int(about.minimum), to_value=int(about.maximum))]
        return descriptor

    def convert(self, value: Any) -> Any:
        """Return a value that ROS gave us as the field has it.

        :raises ConfigurationError: it has another type, is out of range or no number.
        """
        about = self.about
        if about.check is not None:
            about.check(value)
        if isinstance(self.default, tuple):
            return self._size(value)
        if isinstance(self.default, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(self.default):
            kind = {float: 'a number', int: 'a whole number', str: 'a string', bool: 'true or '
                    'false'}[type(self.default)]
            raise ConfigurationError(f'{self.name}: expected {kind}, not {value!r}')
        if about.choices and value not in about.choices:
            raise ConfigurationError(f'{self.name}: {value!r} is none of '
                                     f'{", ".join(about.choices)}')
        if isinstance(value, (int, float)) and not self._in_range(value):
            raise ConfigurationError(f'{self.name}: {value} is not between {about.minimum:g} and '
                                     f'{about.maximum:g}')
        return value

    def _in_range(self, value: float) -> bool:
        about = self.about
        if about.minimum is None or about.maximum is None:
            return True
        return math.isfinite(value) and about.minimum <= value <= about.maximum

    def _size(self, value: Any) -> tuple[int, int]:
        problem = ConfigurationError(
            f'{self.name}: expected [width, height] in whole pixels from 1 to '
            f'{self.about.maximum}, or [0, 0], not {value!r}')
        try:
            width, height = value
        except (TypeError, ValueError):
            raise problem from None
        if type(width) is not int or type(height) is not int:
            raise problem
        if not self._in_range(width) or not self._in_range(height):
            raise problem
        if (width == 0) != (height == 0):
            raise problem
        return width, height


def _table() -> dict[str, Entry]:
    pipeline = dataclasses.fields(PipelineOptions)
    own = dataclasses.fields(NodeOptions)
    entries = [Entry(field.name, field.default, _ABOUT_PIPELINE[field.name])
               for field in pipeline]
    entries += [Entry(field.name, field.default, field.metadata['about']) for field in own]
    return {entry.name: entry for entry in entries}


PARAMETERS: Mapping[str, Entry] = _table()
"""Every parameter of the node, by name."""

# Declared by rclpy itself while the node is made.
_RCLPY_PARAMETERS = ('use_sim_time', 'start_type_description_service')
_QOS_PREFIX = 'qos_overrides.'


class NodeParameters:
    """The parameters as declared on a node, checked, and followed while they change.

    The node must have been made with ``automatically_declare_parameters_from_overrides=True``:
    that shows, through public calls, what the user has set, so that a whole number can be taken
    for a number and a misspelt name be reported instead of being ignored.

    :param node: declares the parameters on this node.
    :param on_change: called with the new values by name after a change was accepted.
    :raises ConfigurationError: a start-up value is wrong; the message names all that are.
    """

    def __init__(self, node: Node, on_change: Callable[[Mapping[str, Any]], None]) -> None:
        self._on_change = on_change
        overrides = _take_overrides(node)
        self.unknown = _unknown_names(overrides)
        self._values = _start_values(overrides)
        use_sim_time = node.get_parameter('use_sim_time').value
        if type(use_sim_time) is not bool:    # rclpy would only log it
            raise ConfigurationError('wrong parameter use_sim_time: expected true or false, not '
                                     f'{use_sim_time!r}')
        for name, entry in PARAMETERS.items():
            value = self._values[name]
            node.declare_parameter(name, list(value) if isinstance(value, tuple) else value,
                                   entry.descriptor(), ignore_override=True)
        node.add_pre_set_parameters_callback(_whole_numbers_to_numbers)
        node.add_on_set_parameters_callback(_check)
        node.add_post_set_parameters_callback(self._follow)

    @property
    def pipeline(self) -> PipelineOptions:
        """The pipeline's parameters as they stand now."""
        return PipelineOptions(**self._select(PipelineOptions))

    @property
    def node(self) -> NodeOptions:
        """The node's own parameters as they stand now."""
        return NodeOptions(**self._select(NodeOptions))

    def _select(self, options: Any) -> dict[str, Any]:
        return {field.name: self._values[field.name] for field in dataclasses.fields(options)}

    def _follow(self, parameters: Sequence[Parameter]) -> None:
        changed = {parameter.name: PARAMETERS[parameter.name].convert(parameter.value)
                   for parameter in parameters if parameter.name in PARAMETERS}
        if changed:
            self._values.update(changed)
            self._on_change(changed)


def _take_overrides(node: Node) -> dict[str, Any]:
    """Return the values that the user set, and make their names free to be declared."""
    overrides = {}
    for name, parameter in node.get_parameters_by_prefix('').items():
        if name not in _RCLPY_PARAMETERS:
            overrides[name] = parameter.value
            node.undeclare_parameter(name)
    return overrides


def _unknown_names(overrides: Mapping[str, Any]) -> list[str]:
    """Describe the names that no parameter of this node has."""
    texts = []
    for name in overrides:
        if name not in PARAMETERS and not name.startswith(_QOS_PREFIX):
            near = difflib.get_close_matches(name, PARAMETERS, n=1)
            texts.append(f'{name} (did you mean {near[0]}?)' if near else name)
    return texts


def _start_values(overrides: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    problems = []
    for name, entry in PARAMETERS.items():
        try:
            values[name] = entry.convert(overrides.get(name, entry.default))
        except ConfigurationError as error:
            problems.append(str(error))
    if not problems and math.prod(values['warm_up_size']) > values['max_pixels']:
        problems.append(f'warm_up_size: {list(values["warm_up_size"])} has more than max_pixels, '
                        f'{values["max_pixels"]}')
    if problems:
        raise ConfigurationError('wrong parameter ' + '; '.join(problems))
    return values


def _whole_numbers_to_numbers(parameters: list[Parameter]) -> list[Parameter]:
    """Let ``ros2 param set /lvs threshold 1`` set a double, which otherwise takes only 1.0."""
    return [_as_declared(parameter) for parameter in parameters]


def _as_declared(parameter: Parameter) -> Parameter:
    entry = PARAMETERS.get(parameter.name)
    if (entry is not None and isinstance(entry.default, float)
            and parameter.type_ == Parameter.Type.INTEGER):
        return Parameter(parameter.name, Parameter.Type.DOUBLE, float(parameter.value))
    return parameter


def _check(parameters: Sequence[Parameter]) -> SetParametersResult:
    try:
        for parameter in parameters:
            if parameter.name in PARAMETERS:
                PARAMETERS[parameter.name].convert(parameter.value)
    except ConfigurationError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)
