# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The options of :mod:`lvs_ros.options` as parameters of the node."""

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
from lvs_ros.options import GONE, OPTIONS, NodeOptions, Option, PipelineOptions

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
    :ivar pipeline: the pipeline's parameters as they stand now.
    :ivar node: the node's own.
    :raises ConfigurationError: a start-up value is wrong, or its parameter is gone; the message
        names all that are.
    """

    def __init__(self, node: Node, on_change: Callable[[Mapping[str, Any]], None]) -> None:
        self._on_change = on_change
        overrides = _take_overrides(node)
        self.unknown = _unknown_names(overrides)
        self.pipeline, self.node = _start_values(overrides)
        use_sim_time = node.get_parameter('use_sim_time').value
        if type(use_sim_time) is not bool:    # rclpy would only log it
            raise ConfigurationError('wrong parameter use_sim_time: expected true or false, not '
                                     f'{use_sim_time!r}')
        values = dataclasses.asdict(self.pipeline) | dataclasses.asdict(self.node)
        for name, value in values.items():
            node.declare_parameter(name, list(value) if isinstance(value, tuple) else value,
                                   _descriptor(name, OPTIONS[name]), ignore_override=True)
        node.add_pre_set_parameters_callback(_whole_numbers_to_numbers)
        node.add_on_set_parameters_callback(_check)
        node.add_post_set_parameters_callback(self._follow)

    def _follow(self, parameters: Sequence[Parameter]) -> None:
        changed = {parameter.name: parameter.value for parameter in parameters
                   if parameter.name in OPTIONS}
        if changed:
            self.pipeline = dataclasses.replace(self.pipeline, **_of(PipelineOptions, changed))
            self.node = dataclasses.replace(self.node, **_of(NodeOptions, changed))
            self._on_change(changed)


def _of(table: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values that belong to one table."""
    return {field.name: values[field.name] for field in dataclasses.fields(table)
            if field.name in values}


def _descriptor(name: str, option: Option) -> ParameterDescriptor:
    """Return what ``ros2 param describe`` shows."""
    descriptor = ParameterDescriptor(
        name=name, description=option.description, read_only=not option.dynamic,
        # rclpy refuses a value of another type in terms of type numbers; Option says it better.
        dynamic_typing=option.dynamic)
    if option.choices:
        descriptor.additional_constraints = 'One of: ' + ', '.join(option.choices)
    if math.isfinite(option.minimum) and isinstance(option.default, float):
        descriptor.floating_point_range = [FloatingPointRange(
            from_value=float(option.minimum), to_value=float(option.maximum))]
    elif math.isfinite(option.minimum) and isinstance(option.default, int):
        descriptor.integer_range = [IntegerRange(
            from_value=int(option.minimum), to_value=int(option.maximum))]
    return descriptor


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
        if name not in OPTIONS and not name.startswith(_QOS_PREFIX):
            near = difflib.get_close_matches(name, OPTIONS, n=1)
            texts.append(f'{name} (did you mean {near[0]}?)' if near else name)
    return texts


def _start_values(overrides: Mapping[str, Any]) -> tuple[PipelineOptions, NodeOptions]:
    tables: list[Any] = []
    problems = [f'{name}: it is gone; {GONE[name]}' for name in overrides if name in GONE]
    for table in (PipelineOptions, NodeOptions):
        try:
            tables.append(table(**_of(table, overrides)))
        except ConfigurationError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError('wrong parameter ' + '; '.join(problems))
    pipeline, node = tables
    return pipeline, node


def _whole_numbers_to_numbers(parameters: list[Parameter]) -> list[Parameter]:
    """Let ``ros2 param set /lvs threshold 1`` set a double, which otherwise takes only 1.0."""
    numbers = {name for name, option in OPTIONS.items() if isinstance(option.default, float)}
    return [Parameter(one.name, value=float(one.value))
            if one.name in numbers and one.type_ == Parameter.Type.INTEGER else one
            for one in parameters]


def _check(parameters: Sequence[Parameter]) -> SetParametersResult:
    try:
        for parameter in parameters:
            if parameter.name in OPTIONS:
                OPTIONS[parameter.name].checked(parameter.name, parameter.value)
    except ConfigurationError as error:
        return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)
