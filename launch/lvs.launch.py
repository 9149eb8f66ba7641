# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Start the segmentation node on a camera: ros2 launch lvs_ros lvs.launch.py image_topic:=..."""

import os
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from lvs_ros.dds_profile import large_image_environment

BOOLEANS = ['true', 'false']
# Empty arguments leave the parameter to the params_file.
OVERRIDES = {'model': str, 'threshold': float, 'device': str, 'input_transport': str}


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the node with them."""
    return LaunchDescription([
        DeclareLaunchArgument(
            'image_topic', default_value='image_raw',
            description="The camera's topic; with input_transport:=compressed, /compressed is "
                        'added to it'),
        DeclareLaunchArgument(
            'input_transport', default_value='', choices=['', 'raw', 'compressed'],
            description='Subscribe to Image (raw) or CompressedImage (compressed); empty: as in '
                        'the params_file'),
        DeclareLaunchArgument(
            'model', default_value='',
            description='A name in config/models/ or a path to a .safetensors file; empty: as in '
                        'the params_file'),
        DeclareLaunchArgument(
            'threshold', default_value='',
            description='Predicted share of changed labels above which a frame becomes a key '
                        'frame, 0 to 1; empty: as in the params_file'),
        DeclareLaunchArgument(
            'device', default_value='',
            description='auto, cpu, cuda:0, ...; empty: as in the params_file'),
        DeclareLaunchArgument(
            'params_file',
            default_value=PathJoinSubstitution([FindPackageShare('lvs_ros'), 'config',
                                                'lvs.yaml']),
            description='File with the parameters of the node'),
        DeclareLaunchArgument(
            'namespace', default_value='',
            description='Namespace of the node, so that there can be one for each camera'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', choices=BOOLEANS,
            description='Take the time from /clock (a recording or a simulation)'),
        DeclareLaunchArgument(
            'log_level', default_value='info',
            choices=['debug', 'info', 'warn', 'error', 'fatal'],
            description='Least severity of the messages that are logged'),
        DeclareLaunchArgument(
            'respawn', default_value='true', choices=BOOLEANS,
            description='Start the node again, after two seconds, when it dies'),
        OpaqueFunction(function=start_node),
    ])


def parameter_overrides(context: LaunchContext) -> dict[str, Any]:
    """Return the parameters that the arguments set, whatever the params_file says."""
    parameters: dict[str, Any] = {
        'use_sim_time': LaunchConfiguration('use_sim_time').perform(context) == 'true'}
    for name, convert in OVERRIDES.items():
        value = LaunchConfiguration(name).perform(context)
        if value:
            parameters[name] = convert(value)
    return parameters


def start_node(context: LaunchContext) -> list[Node]:
    """Return the node's action; a function, because empty arguments are to set nothing."""
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    return [Node(
        package='lvs_ros',
        executable='lvs_node',
        name='lvs',
        namespace=value('namespace'),
        parameters=[value('params_file'), parameter_overrides(context)],
        remappings=[('image_raw', value('image_topic')),
                    ('image_raw/compressed', value('image_topic') + '/compressed')],
        arguments=['--ros-args', '--log-level', value('log_level')],
        additional_env=large_image_environment({**os.environ, **context.environment}),
        output='screen',
        emulate_tty=True,
        respawn=value('respawn') == 'true',
        respawn_delay=2.0,
    )]
