# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Play a recording through the segmentation node: ros2 launch lvs_ros replay.launch.py bag:=...

All arguments of lvs.launch.py can be given too.
"""

import os
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import (DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription,
                            OpaqueFunction, RegisterEventHandler, Shutdown, TimerAction)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

from lvs_ros import exit_codes
from lvs_ros.dds_profile import large_image_environment
from lvs_ros.launching import topic_names, transport_of

BOOLEANS = ['true', 'false']


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; start the node, and the player beside it."""
    return LaunchDescription([
        DeclareLaunchArgument(
            'bag', description='The recording: a rosbag2 folder or file; without ros2 bag also a '
                               'ROS 1 .bag file'),
        DeclareLaunchArgument(
            'recorded_topic', default_value='',
            description="The image topic of the recording, to be played on the node's image_topic;"
                        ' empty: ros2 bag play plays all under their own names, lvs play the only '
                        'one there is'),
        DeclareLaunchArgument(
            'rate', default_value='1.0', description='Speed: 2 plays twice as fast'),
        DeclareLaunchArgument(
            'loop', default_value='false', choices=BOOLEANS,
            description='Begin again at the end, until Ctrl-C'),
        DeclareLaunchArgument(
            'delay', default_value='5.0',
            description='Seconds for the node to load its model before ros2 bag play starts '
                        '(lvs play waits for the node by itself)'),
        DeclareLaunchArgument(
            'input_transport', default_value='', choices=['', 'raw', 'compressed'],
            description='What is sent to the node, Image or CompressedImage; ros2 bag play can '
                        'send only what was recorded, lvs play converts; empty: compressed where '
                        'image_topic or recorded_topic ends in /compressed'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='true', choices=BOOLEANS,
            description="Run the node on the recording's time, which the player publishes"),
        OpaqueFunction(function=settle_transport),
        RegisterEventHandler(OnProcessExit(target_action=is_node, on_exit=end_with_the_node)),
        IncludeLaunchDescription(
            PathJoinSubstitution([FindPackageShare('lvs_ros'), 'launch', 'lvs.launch.py']),
            launch_arguments=[(name, LaunchConfiguration(name))
                              for name in ('input_transport', 'use_sim_time')]),
        OpaqueFunction(function=start_player),
    ])


def settle_transport(context: LaunchContext) -> None:
    """Decide what is sent: node and player must agree on it."""
    arguments = context.launch_configurations
    arguments['input_transport'] = transport_of(
        arguments['input_transport'], arguments.get('image_topic', ''),
        arguments['recorded_topic']) or 'raw'


def start_player(context: LaunchContext) -> list[ExecuteProcess | RegisterEventHandler]:
    """Return the player's action, and what ends the launch once the player is done."""
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    topic = node_topic(value('namespace'), value('image_topic'), value('input_transport'))
    if has_ros2_bag():
        command = ['ros2', 'bag', 'play', value('bag'), '--delay', value('delay')]
        if value('recorded_topic'):
            command += ['--remap', f"{value('recorded_topic')}:={topic}"]
    else:
        command = [ExecutableInPackage(package='lvs_ros', executable='lvs'), 'play', value('bag'),
                   '--to', topic, '--transport', value('input_transport')]
        if value('recorded_topic'):
            command += ['--topic', value('recorded_topic')]
    command += ['--rate', value('rate')]
    if value('loop') == 'true':
        command.append('--loop')
    if value('use_sim_time') == 'true':
        command += ['--clock', '100']
    player = ExecuteProcess(
        cmd=command, output='screen', emulate_tty=True,
        additional_env=large_image_environment({**os.environ, **context.environment}))
    return [player, RegisterEventHandler(OnProcessExit(target_action=player,
                                                       on_exit=end_with_the_player))]


def end_with_the_player(event: ProcessExited, context: LaunchContext) -> TimerAction | None:
    """End the launch, as one that failed where the player has."""
    if context.is_shutdown:
        return None
    if event.returncode != exit_codes.OK:
        raise RuntimeError(f'the player ended with exit code {event.returncode}')
    # The node gets a moment to finish the last images.
    return TimerAction(period=2.0, actions=[Shutdown(reason='the recording has been played')])


def is_node(action: Any) -> bool:
    """Say whether an action is the node, which the included launch file starts."""
    return isinstance(action, Node) and action.node_executable == 'lvs_node'


def end_with_the_node(event: ProcessExited, context: LaunchContext) -> None:
    """End the launch where the node stays down: the player would wait for it."""
    respawn = context.launch_configurations.get('respawn') == 'true'
    if context.is_shutdown or (respawn and exit_codes.is_worth_a_restart(event.returncode)):
        return
    raise RuntimeError(f'the node ended with exit code {event.returncode}')


def node_topic(namespace: str, image_topic: str, input_transport: str) -> str:
    """Return the full name of the topic that the node subscribes to."""
    if not image_topic.startswith('/'):
        image_topic = '/'.join(['', *namespace.strip('/').split('/'), image_topic])
    raw, compressed = topic_names(image_topic.replace('//', '/'), input_transport)
    return compressed if input_transport == 'compressed' else raw


def has_ros2_bag() -> bool:
    """Say whether ``ros2 bag`` is installed."""
    try:
        get_package_prefix('ros2bag')
    except PackageNotFoundError:
        return False
    return True
