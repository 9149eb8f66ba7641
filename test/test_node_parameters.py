# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: what is declared, documented, accepted and refused."""

import math
import pathlib
import re
from typing import Any, Iterator

import pytest
import safetensors.torch
import yaml

pytest.importorskip('rclpy', reason='rclpy is not installed')

import node_rig  # noqa: E402
from node_rig import SECOND, Rig, Rigs, image_message, picture  # noqa: E402
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue  # noqa: E402
from rcl_interfaces.srv import (DescribeParameters, GetParameters, ListParameters,  # noqa: E402
                                SetParameters, SetParametersAtomically)
import rclpy  # noqa: E402
from rclpy.context import Context  # noqa: E402

from lvs_ros.errors import ConfigurationError  # noqa: E402
from lvs_ros.node.segmentation_node import SegmentationNode  # noqa: E402
from lvs_ros.options import GONE, OPTIONS  # noqa: E402
from lvs_ros.resources import config_dir  # noqa: E402

DYNAMIC = {'threshold', 'schedule', 'fixed_interval', 'max_key_age_frames', 'stale_after_s',
           'forecast_s', 'pause_without_subscribers'}


@pytest.fixture
def make_rig(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Rigs]:
    yield from node_rig.rigs(tiny_model)


@pytest.fixture(scope='module')
def rig(tiny_model: pathlib.Path) -> Iterator[Rig]:
    """Return a node for the tests that leave its parameters as they were."""
    yield from node_rig.lone_rig(tiny_model, threshold=0.5)


@pytest.fixture
def context(ros_domain: int) -> Iterator[Context]:
    """Give a context for a node that only starts up."""
    context = Context()
    yield context
    context.try_shutdown()


def start(context: Context, *words: str) -> SegmentationNode:
    rclpy.init(args=['lvs_node', '--ros-args', *words], context=context)
    return SegmentationNode(context=context)


def value_of(value: Any) -> ParameterValue:
    """Make a parameter value as ``ros2 param set`` does."""
    if value is None:
        return ParameterValue()    # not set: the parameter would be taken away
    if isinstance(value, bool):
        return ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=value)
    if isinstance(value, int):
        return ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)
    if isinstance(value, float):
        return ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)


def set_parameter(rig: Rig, name: str, value: Any) -> Any:
    request = SetParameters.Request(parameters=[Parameter(name=name, value=value_of(value))])
    return rig.peer.call(SetParameters, '/lvs/set_parameters', request).results[0]


def get_parameter(rig: Rig, name: str) -> Any:
    request = GetParameters.Request(names=[name])
    value = rig.peer.call(GetParameters, '/lvs/get_parameters', request).values[0]
    return {ParameterType.PARAMETER_DOUBLE: value.double_value,
            ParameterType.PARAMETER_STRING: value.string_value,
            ParameterType.PARAMETER_INTEGER: value.integer_value}[value.type]


def documented() -> dict[str, Any]:
    return yaml.safe_load((config_dir() / 'lvs.yaml').read_text())['/**']['ros__parameters']


def test_the_file_documents_every_parameter_with_its_default(context: Context) -> None:
    node = start(context)
    own = [name for name in node.get_parameters_by_prefix('')
           if name not in ('use_sim_time', 'start_type_description_service')
           and not name.startswith('qos_overrides.')]
    declared = {}
    for name in own:
        value = node.get_parameter(name).value
        declared[name] = list(value) if hasattr(value, 'typecode') else value
    file = documented()
    assert declared == file
    assert {name: type(value) for name, value in declared.items()} == {
        name: type(value) for name, value in file.items()}
    node.destroy_node()


def test_the_file_is_accepted_as_it_is(context: Context) -> None:
    node = start(context, '--params-file', str(config_dir() / 'lvs.yaml'))
    assert node.parameters.unknown == []
    node.destroy_node()


def test_every_parameter_is_described(rig: Rig) -> None:
    names = list(OPTIONS)
    described = rig.peer.call(DescribeParameters, '/lvs/describe_parameters',
                              DescribeParameters.Request(names=names)).descriptors
    assert [descriptor.name for descriptor in described] == names
    for descriptor in described:
        assert len(descriptor.description) > 20, descriptor.name
        assert descriptor.read_only == (descriptor.name not in DYNAMIC), descriptor.name
        if descriptor.name.endswith('_s'):
            assert 'econds' in descriptor.description
            assert descriptor.floating_point_range, descriptor.name
    threshold = described[names.index('threshold')].floating_point_range[0]
    assert (threshold.from_value, threshold.to_value) == (0.0, 1.0)
    listed = rig.peer.call(ListParameters, '/lvs/list_parameters', ListParameters.Request())
    assert set(names) <= set(listed.result.names)


def test_a_new_threshold_takes_effect_on_the_next_frame(make_rig: Rigs) -> None:
    rig = make_rig(threshold=1.0)
    rig.send(image_message(picture(), stamp_ns=SECOND))
    before = rig.send(image_message(picture(), stamp_ns=2 * SECOND))[1]
    assert (before.threshold, before.key_frame) == (1.0, False)
    assert set_parameter(rig, 'threshold', 0.0).successful
    after = rig.send(image_message(picture(1), stamp_ns=3 * SECOND))[1]
    assert (after.threshold, after.key_frame) == (0.0, True)


@pytest.mark.parametrize('value', [0, 1, 0.0, 1.0, 0.2])
def test_whole_numbers_are_numbers(rig: Rig, value: Any) -> None:
    result = set_parameter(rig, 'threshold', value)
    assert result.successful, result.reason
    assert get_parameter(rig, 'threshold') == float(value)
    assert rig.send(image_message(picture()))[1].threshold == pytest.approx(value)
    assert set_parameter(rig, 'threshold', 0.5).successful


@pytest.mark.parametrize('name, value, reason', [
    ('threshold', 1.5, 'threshold'),
    ('threshold', -1.0, 'threshold'),
    ('threshold', -1, 'threshold'),
    ('threshold', 2, 'threshold'),
    ('threshold', 1.0000001, 'between 0 and 1'),
    ('threshold', math.nan, 'nan'),
    ('threshold', math.inf, 'inf'),
    ('threshold', 'abc', "threshold: expected a number, not 'abc'"),
    ('threshold', 'nan', "threshold: expected a number, not 'nan'"),
    ('threshold', True, 'threshold: expected a number, not True'),
    ('threshold', None, 'threshold: expected a number, not None'),
    ('schedule', 'fastest', 'low_latency, adaptive, fixed, every_frame'),
    ('schedule', 3, 'schedule: expected a string, not 3'),
    ('fixed_interval', 0, 'fixed_interval'),
    ('max_key_age_frames', -1, 'max_key_age_frames'),
    ('max_key_age_frames', 2.5, 'max_key_age_frames: expected a whole number, not 2.5'),
    ('stale_after_s', -0.1, 'stale_after_s'),
    ('model', 'other', 'read-only'),
    ('autostart', False, 'read-only'),
    ('nonsense', 1, 'undeclared'),
])
def test_wrong_values_are_refused_with_the_reason(
        rig: Rig, name: str, value: Any, reason: str) -> None:
    result = set_parameter(rig, name, value)
    assert not result.successful
    assert reason in result.reason
    status = rig.send(image_message(picture()))[1]
    assert (status.threshold, status.schedule) == (0.5, 'low_latency')


def test_the_other_dynamic_parameters(make_rig: Rigs) -> None:
    rig = make_rig(threshold=1.0)

    def send(stamp_s: int) -> Any:
        return rig.send(image_message(picture(), stamp_ns=stamp_s * SECOND))[1]

    assert send(1).schedule == 'low_latency'
    assert set_parameter(rig, 'max_key_age_frames', 2).successful
    assert [send(stamp_s).key_frame for stamp_s in (2, 3)] == [False, True]
    assert set_parameter(rig, 'max_key_age_frames', 0).successful
    assert set_parameter(rig, 'schedule', 'fixed').successful
    assert set_parameter(rig, 'fixed_interval', 3).successful
    assert [send(stamp_s).key_frame for stamp_s in (4, 5, 6)] == [False, False, True]
    assert set_parameter(rig, 'schedule', 'every_frame').successful
    assert send(7).schedule == 'every_frame'
    assert send(8).key_frame


def test_several_at_once_are_all_set_or_none(rig: Rig) -> None:
    request = SetParametersAtomically.Request(parameters=[
        Parameter(name='threshold', value=value_of(0.3)),
        Parameter(name='schedule', value=value_of('fastest'))])
    response = rig.peer.call(SetParametersAtomically, '/lvs/set_parameters_atomically', request)
    assert not response.result.successful
    assert rig.send(image_message(picture()))[1].threshold == 0.5


@pytest.mark.parametrize('word, expected', [
    ('threshold:=1.5', 'threshold: 1.5 is not between 0 and 1'),
    ('threshold:=.nan', 'threshold: nan is not between 0 and 1'),
    ('threshold:=abc', "threshold: expected a number, not 'abc'"),
    ('threshold:=true', 'threshold: expected a number, not True'),
    ('schedule:=fastest', "schedule: 'fastest' is none of low_latency, adaptive, fixed, "
     'every_frame'),
    ('fixed_interval:=0', 'fixed_interval: 0 is not between 1'),
    ('fixed_interval:=2.5', 'fixed_interval: expected a whole number, not 2.5'),
    ('model:=7', 'model: expected a string, not 7'),
    ('output_size:=[640]', r'output_size: expected \[width, height\]'),
    ('output_size:=[640, 0]', r'output_size: expected \[width, height\]'),
    ('output_size:=[640.0, 480.0]', r'output_size: expected \[width, height\]'),
    ('max_pixels:=0', 'max_pixels: 0 is not between 256'),
    ('warm_up_size:=[4096, 3073]', r'warm_up_size: \[4096, 3073\] has more than max_pixels'),
    ('max_pixels:=100000', r'warm_up_size: \[480, 360\] has more than max_pixels, 100000'),
    ('output_size:=640', r'output_size: expected \[width, height\]'),
])
def test_wrong_start_up_values_are_refused(context: Context, word: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        start(context, '-p', word)


def test_all_wrong_start_up_values_are_named_at_once(context: Context) -> None:
    with pytest.raises(ConfigurationError, match='threshold: 7.*input_transport: .*theora'):
        start(context, '-p', 'threshold:=7', '-p', 'input_transport:=theora')


@pytest.mark.parametrize('name', sorted(GONE))
def test_a_parameter_that_is_gone_is_refused_with_what_to_do(context: Context, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f'{name}: it is gone; {re.escape(GONE[name])}'):
        start(context, '-p', f'{name}:=1')


def test_start_up_values_may_be_whole_numbers_and_sizes(context: Context) -> None:
    node = start(context, '-p', 'threshold:=1', '-p', 'output_size:=[640, 480]',
                 '-p', 'stale_after_s:=2')
    assert node.parameters.pipeline.threshold == 1.0
    assert node.parameters.pipeline.output_size == (640, 480)
    assert node.parameters.node.stale_after_s == 2.0
    assert node.get_parameter('threshold').value == 1.0
    node.destroy_node()


def test_a_misspelt_parameter_is_reported(context: Context) -> None:
    node = start(context, '-p', 'treshold:=0.2', '-p', 'use_sim_time:=true',
                 '-p', 'qos_overrides./image_raw.subscription.depth:=2')
    assert node.parameters.unknown == ['treshold (did you mean threshold?)']
    node.destroy_node()


def test_quality_of_service_can_be_overridden(make_rig: Rigs) -> None:
    settings: dict[str, Any] = {
        'qos_overrides./image_raw.subscription.reliability': 'reliable',
        'qos_overrides./image_raw.subscription.depth': 3,
        'qos_overrides./lvs/mask.publisher.depth': 2}
    rig = make_rig(autostart=False, **settings)
    assert rig.in_node(rig.node.autostart)
    subscription = next(subscription for subscription in rig.node.subscriptions
                        if subscription.topic_name == '/image_raw')
    mask = next(publisher for publisher in rig.node.publishers
                if publisher.topic_name == '/lvs/mask')
    assert (subscription.qos_profile.reliability.name, subscription.qos_profile.depth) == (
        'RELIABLE', 3)
    assert mask.qos_profile.depth == 2


@pytest.mark.parametrize('name, value', [
    ('qos_overrides./image_raw.subscription.reliability', 'sometimes'),
    ('qos_overrides./lvs/mask.publisher.depth', 0),
    ('qos_overrides./lvs/mask.publisher.depth', 'deep'),
])
def test_wrong_quality_of_service_keeps_it_from_starting(
        make_rig: Rigs, name: str, value: Any) -> None:
    settings: dict[str, Any] = {name: value}
    rig = make_rig(autostart=False, **settings)
    assert not rig.in_node(rig.node.autostart)


@pytest.mark.parametrize('override', [
    '/image_raw.subscription.depth:=abc', '/image_raw.subscription.depth:=-3',
    '/lvs/mask.publisher.reliability:=abc'])
def test_an_override_of_the_quality_of_service_that_cannot_be(
        context: Context, tiny_model: pathlib.Path, override: str) -> None:
    node = start(context, '-p', f'model:={tiny_model}', '-p', 'warm_up_size:=[0, 0]',
                 '-p', 'qos_overrides.' + override)
    try:
        assert not node.autostart()
        assert isinstance(node.transition_failure, ConfigurationError)
        assert 'qos_overrides cannot be applied' in str(node.transition_failure)
    finally:
        node.destroy_node()


def test_a_model_without_a_checksum_is_told_in_the_log(
        context: Context, tiny_model: pathlib.Path, tmp_path: pathlib.Path,
        capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'old.safetensors'
    with safetensors.safe_open(tiny_model, 'pt') as file:
        metadata = {name: text for name, text in file.metadata().items() if name != 'sha256'}
    safetensors.torch.save_file(safetensors.torch.load_file(tiny_model), path, metadata)
    node = start(context, '-p', f'model:={path}', '-p', 'autostart:=false')
    node.trigger_configure()
    node.destroy_node()
    [line] = [line for line in capfd.readouterr().err.splitlines() if 'no checksum' in line]
    assert 'WARN' in line and str(path) in line


def test_a_wrong_use_sim_time(context: Context) -> None:
    with pytest.raises(ConfigurationError, match="use_sim_time: expected true or false.*'maybe'"):
        start(context, '-p', 'use_sim_time:=maybe')
