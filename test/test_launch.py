# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The launch files: their arguments, and the processes that they would start."""

import asyncio
import importlib.util
import os
import pathlib
from types import ModuleType
from typing import Any

import pytest
import yaml

from lvs_ros.dds_profile import large_image_environment
from lvs_ros.errors import ConfigurationError
from lvs_ros.resources import config_dir

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PROFILE = config_dir() / 'fastdds_large_images.xml'


@pytest.fixture(autouse=True)
def no_profile_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE',
                 'FASTDDS_BUILTIN_TRANSPORTS'):
        monkeypatch.delenv(name, raising=False)


def load(name: str) -> ModuleType:
    """Import a launch file, or skip where launch_ros is not installed (it is not on PyPI)."""
    pytest.importorskip('launch_ros', reason='launch_ros is not installed; it comes with ROS 2')
    spec = importlib.util.spec_from_file_location(name.replace('.', '_'),
                                                  REPOSITORY / 'launch' / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def context_with(arguments: dict[str, str]) -> Any:
    """Return a launch context in which lvs.launch.py's arguments are the defaults or these."""
    description = load('lvs.launch.py').generate_launch_description()
    from launch.launch_context import LaunchContext
    context = LaunchContext()
    for argument in description.get_launch_arguments():
        if argument.name != 'params_file':  # its default needs the installed package
            argument.execute(context)
    context.launch_configurations['params_file'] = str(REPOSITORY / 'config' / 'lvs.yaml')
    context.launch_configurations.update(arguments)
    return context


def text(context: Any, substitutions: Any) -> str:
    from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
    return perform_substitutions(context, normalize_to_list_of_substitutions(substitutions))


def command_of(context: Any, process: Any) -> list[str]:
    """Return the command without what launch_ros adds while it starts the process."""
    from launch.substitutions import LocalSubstitution
    return [text(context, part) for part in process.cmd
            if not isinstance(part[0], LocalSubstitution)]


def test_the_node_declares_its_arguments() -> None:
    description = load('lvs.launch.py').generate_launch_description()
    assert {argument.name for argument in description.get_launch_arguments()} == {
        'image_topic', 'camera_info_topic', 'input_transport', 'model', 'labels', 'threshold',
        'device', 'inference_size', 'output_size', 'warm_up_size', 'autostart', 'params_file',
        'name', 'namespace', 'use_sim_time', 'log_level', 'respawn', 'rviz'}


def test_the_node_gets_what_the_arguments_say() -> None:
    context = context_with({
        'image_topic': '/front/image', 'namespace': 'front', 'model': 'some_model',
        'threshold': '1', 'log_level': 'warn', 'use_sim_time': 'true', 'respawn': 'false'})
    node, = load('lvs.launch.py').start_node(context)
    node._perform_substitutions(context)
    assert node.node_package == 'lvs_ros'
    assert node.node_executable == 'lvs_node'
    assert node.node_name == '/front/lvs'
    assert dict(node.expanded_remapping_rules) == {
        'image_raw': '/front/image', 'image_raw/compressed': '/front/image/compressed'}
    assert '--ros-args --log-level warn' in ' '.join(command_of(context, node)[1:])


def test_empty_arguments_leave_the_parameters_to_the_file() -> None:
    context = context_with({})
    module = load('lvs.launch.py')
    assert module.parameter_overrides(context) == {}
    context = context_with({'threshold': '1', 'device': 'cpu'})
    overrides = module.parameter_overrides(context)
    assert overrides == {'threshold': 1.0, 'device': 'cpu'}
    # An integer would be refused by a parameter that is a float.
    assert isinstance(overrides['threshold'], float)


def test_the_node_gets_the_profile_for_large_images_and_its_launcher() -> None:
    context = context_with({})
    node, = load('lvs.launch.py').start_node(context)
    environment = {text(context, name): text(context, value)
                   for name, value in node.additional_env}
    assert sorted(environment.values()) == sorted([str(PROFILE), str(os.getpid())])


@pytest.mark.parametrize(('distribution', 'name'), [
    ('jazzy', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
    ('kilted', 'FASTDDS_DEFAULT_PROFILES_FILE'),
    ('rolling', 'FASTDDS_DEFAULT_PROFILES_FILE'),
])
def test_the_variable_is_the_one_the_distribution_reads(distribution: str, name: str) -> None:
    assert large_image_environment({'ROS_DISTRO': distribution}) == {name: str(PROFILE)}


@pytest.mark.parametrize('variable', [
    'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE',
    'FASTDDS_BUILTIN_TRANSPORTS'])
def test_a_choice_of_the_user_is_kept(variable: str) -> None:
    assert large_image_environment({variable: 'something'}) == {}


PLAYED = {'bag': 'drive.mcap', 'rate': '0.5', 'loop': 'true', 'delay': '4.0',
          'use_sim_time': 'true', 'input_transport': '', 'recorded_topic': ''}


def played(monkeypatch: pytest.MonkeyPatch, *, ros2_bag: bool, **arguments: str) -> list[str]:
    """Return the player's command."""
    module = load('replay.launch.py')
    monkeypatch.setattr(module, 'has_ros2_bag', lambda: ros2_bag)
    monkeypatch.setattr(module, 'ExecutableInPackage', lambda package, executable: executable)
    context = context_with({**PLAYED, **arguments})
    module.settle_transport(context)
    return command_of(context, module.start_player(context)[0])


def test_ros2_bag_plays_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    start = ['ros2', 'bag', 'play', 'drive.mcap', '--delay', '4.0']
    end = ['--rate', '0.5', '--loop', '--clock', '100']
    assert played(monkeypatch, ros2_bag=True) == start + end
    assert played(monkeypatch, ros2_bag=True, recorded_topic='/cam/image/compressed',
                  image_topic='/front', input_transport='compressed') == (
        start + ['--remap', '/cam/image/compressed:=/front/compressed'] + end)
    # what was recorded is what can be sent
    assert played(monkeypatch, ros2_bag=True, recorded_topic='/cam/image/compressed') == (
        start + ['--remap', '/cam/image/compressed:=/image_raw/compressed'] + end)


def test_without_ros2_bag_lvs_plays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    start = ['lvs', 'play', 'drive.mcap']
    assert played(monkeypatch, ros2_bag=False) == start + [
        '--to', '/image_raw', '--transport', 'raw', '--rate', '0.5', '--loop', '--clock', '100']
    assert played(monkeypatch, ros2_bag=False, recorded_topic='/cam/image', loop='false',
                  namespace='front', input_transport='compressed', use_sim_time='false') == (
        start + ['--to', '/front/image_raw/compressed', '--transport', 'compressed',
                 '--topic', '/cam/image', '--rate', '0.5'])


def test_the_replay_needs_a_bag() -> None:
    arguments = load('replay.launch.py').generate_launch_description().get_launch_arguments()
    assert [argument.name for argument in arguments if argument.default_value is None] == ['bag']


@pytest.mark.parametrize('code, times', [
    (0, 1), (2, 1),      # told to stop; the user has to mend something
    (1, 2), (-9, 2)])    # failed; killed
def test_what_cannot_help_is_not_started_again(
        monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, code: int, times: int) -> None:
    """The real launch, and in the node's place a program that ends: 0 the second time."""
    starts = tmp_path / 'starts'
    program = tmp_path / 'program'
    end = f'kill {code} $$' if code < 0 else f'exit {code}'
    program.write_text(f'#!/bin/sh\necho x >> {starts}\n'
                       f'[ $(wc -l < {starts}) = 1 ] || exit 0\n{end}\n')
    program.chmod(0o755)
    module = load('lvs.launch.py')
    from launch.actions import OpaqueFunction, SetLaunchConfiguration
    from launch.launch_description import LaunchDescription
    from launch.launch_service import LaunchService
    usual = module.Node

    class Node(usual):  # type: ignore
        def __init__(self, **arguments: Any) -> None:
            arguments |= {'package': None, 'executable': str(program), 'respawn_delay': 0.1}
            super().__init__(**arguments)

    monkeypatch.setattr(module, 'Node', Node)
    configurations = context_with({}).launch_configurations
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription([
        *(SetLaunchConfiguration(*pair) for pair in configurations.items()),
        OpaqueFunction(function=module.start_node)]))
    assert asyncio.run(service.run_async()) == 0
    assert len(starts.read_text().split()) == times


@pytest.mark.parametrize(('code', 'respawn', 'ends'), [
    (2, 'true', True), (0, 'true', True), (1, 'true', False), (1, 'false', True)])
def test_the_replay_ends_with_a_node_that_stays_down(code: int, respawn: str, ends: bool) -> None:
    module = load('replay.launch.py')
    from launch.events.process import ProcessExited
    context = context_with({'respawn': respawn})
    node, = load('lvs.launch.py').start_node(context)
    event = ProcessExited(returncode=code, action=node, name='lvs', cmd=[], cwd=None, env=None,
                          pid=1)
    assert module.is_node(node)
    if ends:
        with pytest.raises(RuntimeError, match=f'the node ended with exit code {code}'):
            module.end_with_the_node(event, context)
    else:
        assert module.end_with_the_node(event, context) is None


def test_the_replay_fails_where_the_player_has() -> None:
    module = load('replay.launch.py')
    from launch.events.process import ProcessExited
    event = ProcessExited(returncode=2, action=None, name='lvs', cmd=[], cwd=None, env=None, pid=1)
    with pytest.raises(RuntimeError, match='the player ended with exit code 2'):
        module.end_with_the_player(event, context_with({}))


@pytest.mark.parametrize(('argument', 'text'), [
    ({'threshold': 'abc'}, "argument threshold: expected a number, not 'abc'"),
    ({'params_file': '/missing.yaml'}, 'argument params_file: cannot read /missing.yaml')])
def test_a_wrong_argument_is_named(argument: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        load('lvs.launch.py').start_node(context_with(argument))


def test_a_compressed_topic_is_subscribed_to_as_such() -> None:
    context = context_with({'image_topic': '/cam/compressed', 'input_transport': 'compressed'})
    node, = load('lvs.launch.py').start_node(context)
    node._perform_substitutions(context)
    assert dict(node.expanded_remapping_rules)['image_raw/compressed'] == '/cam/compressed'


def test_the_calibration_can_be_elsewhere() -> None:
    context = context_with({'camera_info_topic': '/calibration'})
    node, = load('lvs.launch.py').start_node(context)
    node._perform_substitutions(context)
    assert dict(node.expanded_remapping_rules)['camera_info'] == '/calibration'


@pytest.mark.parametrize('rviz, installed, opens', [
    ('true', True, True), ('auto', True, True), ('auto', False, False), ('false', True, False)])
def test_rviz_opens_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch, rviz: str, installed: bool,
                                       opens: bool) -> None:
    module = load('lvs.launch.py')
    monkeypatch.setattr(module, 'is_installed', lambda package: installed)
    context = context_with({'rviz': rviz, 'namespace': 'front'})
    actions = module.start_rviz(context)
    assert len(actions) == opens
    if opens:
        assert actions[0].node_executable == 'rviz2'
        actions[0]._perform_substitutions(context)
        rules = dict(actions[0].expanded_remapping_rules)
        assert rules['/lvs/overlay'] == '/front/lvs/overlay'
        displays = yaml.safe_load((REPOSITORY / 'config' / 'lvs.rviz').read_text())
        shown = {one['Topic']['Value'] for one in displays['Visualization Manager']['Displays']}
        assert shown == set(rules)


def test_rviz_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load('lvs.launch.py')
    monkeypatch.setattr(module, 'is_installed', lambda package: False)
    with pytest.raises(ConfigurationError, match='argument rviz: RViz is not installed'):
        module.start_rviz(context_with({'rviz': 'true'}))


def test_the_demo_films_the_street_for_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load('demo.launch.py')
    monkeypatch.setattr(module, 'ExecutableInPackage', lambda package, executable: executable)
    context = context_with({'image_topic': module.TOPIC, 'rate': '10.0', 'seed': '3'})
    camera, = module.start_street(context)
    assert command_of(context, camera) == [
        'lvs', 'street', '--topic', '/street/image_raw', '--rate', '10.0', '--seed', '3']
