# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Start the segmentation node on a camera: ros2 launch lvs_ros lvs.launch.py image_topic:=..."""

import os
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument, EmitEvent, LogInfo, OpaqueFunction
from launch.events import matches_action
from launch.events.process import ProcessExited, ShutdownProcess
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from lvs_ros.dds_profile import large_image_environment
from lvs_ros.errors import ConfigurationError
from lvs_ros.exit_codes import is_worth_a_restart
from lvs_ros.launcher_watch import launcher_environment
from lvs_ros.launching import (PARAMETERS, check_params_file, node_name, parameter_values,
                               topic_names, transport_of)
from lvs_ros.options import OPTIONS

BOOLEANS = ['true', 'false']


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the node with them."""
    return LaunchDescription([
        DeclareLaunchArgument(
            'image_topic', default_value='image_raw',
            description="The camera's topic; with input_transport:=compressed, /compressed is "
                        'added to it if it is not there; if it is, input_transport need not be '
                        'given'),
        DeclareLaunchArgument(
            'camera_info_topic', default_value='',
            description="The camera's calibration, for ~/camera_info; empty: camera_info beside "
                        'the image topic'),
        *(_of_the_parameter(name) for name in PARAMETERS if name in OPTIONS),
        DeclareLaunchArgument(
            'params_file',
            default_value=PathJoinSubstitution([FindPackageShare('lvs_ros'), 'config',
                                                'lvs.yaml']),
            description='File with the parameters of the node'),
        DeclareLaunchArgument('name', default_value='lvs', description='Name of the node'),
        DeclareLaunchArgument(
            'namespace', default_value='',
            description='Namespace of the node, so that there can be one for each camera'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='', choices=['', *BOOLEANS],
            description='Take the time from /clock (a recording or a simulation); empty: as in '
                        'the params_file or as an enclosing launch file has set it'),
        DeclareLaunchArgument(
            'log_level', default_value='info',
            choices=['debug', 'info', 'warn', 'error', 'fatal'],
            description='Least severity of the messages that are logged'),
        DeclareLaunchArgument(
            'respawn', default_value='true', choices=BOOLEANS,
            description='Start the node again, after two seconds, when it dies; not when it was '
                        'told to stop (exit code 0) or has found something that the user has to '
                        'mend (2)'),
        DeclareLaunchArgument(
            'rviz', default_value='false', choices=[*BOOLEANS, 'auto'],
            description='Open RViz with overlay and mask in colours; auto: where it is installed'),
        OpaqueFunction(function=start_rviz),    # first: where it is missing, nothing is started
        OpaqueFunction(function=start_node),
    ])


def _of_the_parameter(name: str) -> DeclareLaunchArgument:
    """Declare the argument that sets the parameter of the same name."""
    option = OPTIONS[name]
    form = ' As 640x480.' if isinstance(option.default, tuple) else ''
    choices = BOOLEANS if isinstance(option.default, bool) else list(option.choices)
    return DeclareLaunchArgument(
        name, default_value='', choices=['', *choices] if choices else None,
        description=f'{option.description}{form} Empty: as in the params_file.')


def parameter_overrides(context: LaunchContext) -> dict[str, Any]:
    """Return the parameters that the arguments set, whatever the params_file says."""
    arguments = {name: LaunchConfiguration(name).perform(context) for name in PARAMETERS}
    arguments['input_transport'] = transport_of(
        arguments['input_transport'], LaunchConfiguration('image_topic').perform(context))
    return parameter_values(arguments)


def start_node(context: LaunchContext) -> list[Any]:
    """Return the node's action; a function, because empty arguments are to set nothing."""
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    overrides = parameter_overrides(context)
    raw_topic, compressed_topic = topic_names(value('image_topic'),
                                              overrides.get('input_transport', ''))
    full_name = name_of_the_node(context)
    # launch_ros only warns of a file that is not there, and the node would start without it.
    warning = check_params_file(value('params_file'), full_name)
    node = Node(
        package='lvs_ros',
        executable='lvs_node',
        name=value('name'),
        namespace=value('namespace'),
        parameters=[value('params_file'), *([overrides] if overrides else [])],
        remappings=[('image_raw', raw_topic), ('image_raw/compressed', compressed_topic),
                    *([('camera_info', value('camera_info_topic'))]
                      if value('camera_info_topic') else [])],
        arguments=['--ros-args', '--log-level', value('log_level')],
        additional_env={**large_image_environment({**os.environ, **context.environment}),
                        **launcher_environment()},
        output='screen',
        emulate_tty=True,
        respawn=value('respawn') == 'true',
        respawn_delay=2.0,
        on_exit=stay_down,
    )
    return [node] if warning is None else [LogInfo(msg=f'warning: {warning}'), node]


def name_of_the_node(context: LaunchContext) -> str:
    """Return the full name that the arguments give to the node."""
    values = context.launch_configurations
    return node_name(values.get('ros_namespace', ''), values['namespace'], values['name'])


def start_rviz(context: LaunchContext) -> list[Node]:
    """Return RViz's action, if it is wanted.

    :raises ConfigurationError: it is not installed.
    """
    wanted = LaunchConfiguration('rviz').perform(context)
    if wanted == 'false' or wanted == 'auto' and not is_installed('rviz2'):
        return []
    if not is_installed('rviz2'):
        raise ConfigurationError('argument rviz: RViz is not installed (the package rviz2); '
                                 'install it, or leave the argument out')
    name = name_of_the_node(context)
    return [Node(
        package='rviz2', executable='rviz2', name='rviz_lvs', output='screen',
        arguments=['-d', PathJoinSubstitution([FindPackageShare('lvs_ros'), 'config',
                                               'lvs.rviz'])],
        # The configuration is of a node /lvs.
        remappings=[(f'/lvs/{topic}', f'{name}/{topic}') for topic in (
            'overlay', 'mask/color', 'confidence', 'overlay_forecast')])]


def is_installed(package: str) -> bool:
    """Say whether a ROS package is there."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True


def stay_down(event: ProcessExited, context: LaunchContext) -> EmitEvent | None:
    """Take back the respawn where it cannot help: launch does it after every exit code."""
    if is_worth_a_restart(event.returncode):
        return None
    return EmitEvent(event=ShutdownProcess(process_matcher=matches_action(event.action)))
