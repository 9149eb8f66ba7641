# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Watch the node segment the synthetic street: ros2 launch lvs_ros demo.launch.py.

All arguments of lvs.launch.py can be given too.
"""

import os

from launch.actions import (DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription,
                            OpaqueFunction, Shutdown)
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

from lvs_ros.dds_profile import large_image_environment

TOPIC = '/street/image_raw'


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; start the street's camera, the node, and RViz if it is there."""
    return LaunchDescription([
        DeclareLaunchArgument('image_topic', default_value=TOPIC,
                              description='Topic of the images of the street'),
        DeclareLaunchArgument('rate', default_value='10.0', description='Images a second'),
        DeclareLaunchArgument('seed', default_value='185',
                              description='Another street, another weather'),
        DeclareLaunchArgument(
            'rviz', default_value='auto', choices=['true', 'false', 'auto'],
            description='Open RViz with overlay and mask in colours; auto: where it is installed'),
        IncludeLaunchDescription(
            PathJoinSubstitution([FindPackageShare('lvs_ros'), 'launch', 'lvs.launch.py']),
            launch_arguments=[(name, LaunchConfiguration(name))
                              for name in ('image_topic', 'rviz')]),
        OpaqueFunction(function=start_street),
    ])


def start_street(context: LaunchContext) -> list[ExecuteProcess]:
    """Return the camera's action; the demo ends with it."""
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    return [ExecuteProcess(
        cmd=[ExecutableInPackage(package='lvs_ros', executable='lvs'), 'street', '--topic',
             value('image_topic'), '--rate', value('rate'), '--seed', value('seed')],
        additional_env=large_image_environment({**os.environ, **context.environment}),
        output='screen', emulate_tty=True, on_exit=Shutdown(reason='the street has ended'))]
