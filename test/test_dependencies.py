# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What must be installed: declared in setup.cfg and package.xml, and no more than that."""

import ast
import configparser
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from lvs_ros.dependencies import NODE, TOOLS

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

# What rosdep resolves on Ubuntu 24.04 without pip, looked up in ros/rosdistro at commit 8468e88
# (2026-08-22). Of ROS, by repository: in jazzy/distribution.yaml and in kilted/distribution.yaml.
OF_ROS = {
    'ament_cmake': ['ament_cmake', 'ament_cmake_pytest', 'ament_cmake_python'],
    'ament_index': ['ament_index_python'],
    'ament_lint': ['ament_cmake_lint_cmake'],
    'common_interfaces': ['diagnostic_msgs', 'sensor_msgs', 'std_msgs', 'std_srvs'],
    'launch': ['launch'],
    'launch_ros': ['launch_ros', 'ros2launch'],
    'rcl_interfaces': ['builtin_interfaces', 'lifecycle_msgs', 'rcl_interfaces', 'rosgraph_msgs',
                       'service_msgs'],
    'rclpy': ['rclpy'],
    'rosbag2': ['ros2bag', 'rosbag2_storage_default_plugins'],
    'rosidl_defaults': ['rosidl_default_generators', 'rosidl_default_runtime'],
    'vision_msgs': ['vision_msgs'],
    'vision_opencv': ['cv_bridge'],
}
# In rosdep/python.yaml with a package of Ubuntu for every release from 22.04 on.
OF_UBUNTU = {'python3-hypothesis', 'python3-matplotlib', 'python3-numpy', 'python3-opencv',
             'python3-pil', 'python3-psutil', 'python3-pytest', 'python3-pytest-timeout',
             'python3-rich', 'python3-tornado', 'python3-tqdm', 'python3-yaml'}

# Imported by name, and no dependency of the package.
OPTIONAL = {'cv_bridge': 'rare encodings; comes with ROS', 'triton': 'comes with CUDA PyTorch'}
OWN = {'lvs_ros'}

ABSENT = """
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {absent!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)

sys.meta_path.insert(0, Absent())
"""
# Its modules, and what they import on the way: two frames, a picture.
NODE_AT_WORK = """
import cv2, numpy as np
import lvs_ros.node
for module in pkgutil.walk_packages(lvs_ros.node.__path__, 'lvs_ros.node.'):
    importlib.import_module(module.name)
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import build_pipeline
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.jpeg import check_decoder, decode_jpeg
check_decoder()
picture = cv2.imencode('.jpg', np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
pipeline = build_pipeline(PipelineOptions(model=sys.argv[1], cpu_threads=1))
for number in range(2):
    image = decode_jpeg(picture, grey=False, max_pixels=10000)
    pipeline.step(Frame(image, number * 66_666_667, 'bgr'))
pipeline.close()
print('worked')
"""


def run_without(absent: set[str], code: str, *words: str) -> tuple[int, str]:
    """Run Python code where some packages are not there; return exit code and output."""
    done = subprocess.run([sys.executable, '-c', ABSENT.format(absent=absent) + code, *words],
                          capture_output=True, text=True, timeout=120,
                          env={**os.environ, 'LVS_CPU_LEVEL': 'none'})
    return done.returncode, done.stdout + done.stderr


def third_party(*folders: str) -> set[str]:
    """Return the packages that are imported somewhere in these folders of ``lvs_ros``."""
    found: set[str] = set()
    for folder in folders:
        for path in (REPOSITORY / 'lvs_ros' / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text('utf-8'))):
                if isinstance(node, ast.Import):
                    found |= {name.name.partition('.')[0] for name in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.partition('.')[0])
    return found - set(sys.stdlib_module_names) - OWN


def ros_dependencies(*tags: str) -> set[str]:
    """Return the keys of package.xml, of these tags or of all."""
    root = xml.etree.ElementTree.parse(REPOSITORY / 'package.xml').getroot()
    return {element.text or '' for element in root
            if element.tag in tags or not tags and element.tag.endswith('depend')}


def requirements(section: str, option: str) -> set[str]:
    """Return the names of packages of an option of setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(REPOSITORY / 'setup.cfg', 'utf-8')
    return {re.split('[ <>=]', line)[0] for line in parser[section][option].split('\n') if line}


def test_rosdep_resolves_every_key_without_pip() -> None:
    resolvable = OF_UBUNTU | {package for packages in OF_ROS.values() for package in packages}
    assert ros_dependencies() <= resolvable


def test_the_node_and_the_tools_are_declared_apart() -> None:
    assert requirements('options', 'install_requires') == set(NODE.values())
    assert requirements('options.extras_require', 'tools') == set(TOOLS.values())


def test_every_import_is_declared() -> None:
    ros = {name for packages in OF_ROS.values() for name in packages}
    imported = third_party('.')
    assert imported & ros <= ros_dependencies('depend', 'exec_depend')
    # torch imports tensorboard. Nothing that is used no more stays declared.
    assert imported - ros - OPTIONAL.keys() == (NODE.keys() | TOOLS.keys()) - {'tensorboard'}


def test_a_robot_needs_nothing_of_the_tools() -> None:
    for_a_robot = ros_dependencies('depend', 'exec_depend')
    assert {key for key in for_a_robot if key.startswith('python3-')} == {
        'python3-numpy', 'python3-opencv', 'python3-yaml'}


def test_the_node_works_without_the_packages_of_the_tools(tiny_model: pathlib.Path) -> None:
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    code, output = run_without(set(TOOLS), NODE_AT_WORK, str(tiny_model))
    assert (code, output.strip().split('\n')[-1]) == (0, 'worked'), output


@pytest.mark.parametrize('absent, words', [('rosbags', ['play', 'some.mcap']),
                                           ('tqdm', ['record-images', 'frames', 'drive'])])
def test_a_tool_without_its_package_says_how_to_install_it(absent: str, words: list[str]) -> None:
    code, output = run_without({absent}, 'from lvs_ros.tools.cli import main; sys.exit(main())',
                               *words)
    assert code == 2
    assert f'pip install {absent}' in output and "'.[tools]'" in output
    assert 'Traceback' not in output


def test_a_node_without_pytorch_says_so() -> None:
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    code, output = run_without(
        {'torch'}, 'from lvs_ros.node.executable import main; sys.exit(main())')
    assert code == 2
    assert 'pip install torch' in output and 'needs ROS 2' not in output


def test_a_node_without_a_jpeg_decoder_refuses_compressed_images() -> None:
    code, output = run_without({'simplejpeg'}, """
from lvs_ros.errors import ConfigurationError
from lvs_ros.pipeline.jpeg import check_decoder
try:
    check_decoder()
except ConfigurationError as error:
    sys.exit(str(error))
""")
    assert (code, 'pip install simplejpeg' in output) == (1, True)
