# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the files of the package say of it: version, maintainer, licences, distributions."""

import configparser
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree
from typing import Any

import pytest
import yaml

from lvs_ros import __version__

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
MANIFEST = xml.etree.ElementTree.parse(REPOSITORY / 'package.xml').getroot()
DISTRIBUTIONS = ['jazzy', 'kilted']


def read(name: str) -> str:
    return (REPOSITORY / name).read_text('utf-8')


def workflow(name: str) -> Any:
    return yaml.safe_load(read(f'.github/workflows/{name}'))


def test_the_versions_agree() -> None:
    assert MANIFEST.findtext('version') == __version__
    # catkin's format of a changelog: the newest release, below what is not released yet
    released = re.findall(r'^(\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)\n-{4,}$', read('CHANGELOG.rst'),
                          re.MULTILINE)
    assert released[0] == __version__


def test_setup_and_manifest_tell_the_same() -> None:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / 'setup.cfg', 'utf-8')
    metadata = setup['metadata']
    assert metadata['name'] == MANIFEST.findtext('name')
    assert metadata['author'] == MANIFEST.findtext('author') == MANIFEST.findtext('maintainer')
    assert metadata['license'] == MANIFEST.findtext('license')
    urls = {element.get('type'): element.text for element in MANIFEST.findall('url')}
    assert metadata['url'] == urls['website']
    assert f'Source = {urls["repository"]}' in metadata['project_urls']
    assert f'Issues = {urls["bugtracker"]}' in metadata['project_urls']


def test_each_model_has_a_licence_beside_it() -> None:
    folder = REPOSITORY / 'config' / 'models'
    told = (folder / 'LICENSE.md').read_text('utf-8')
    models = {path.name for path in folder.glob('*.safetensors')}
    assert models == set(re.findall(r'^\| `(\S+\.safetensors)` \|', told, re.MULTILINE))


@pytest.mark.parametrize('program', ['lvs', 'lvs_node'])
def test_an_installed_program_runs_in_the_python_of_the_build(program: str) -> None:
    """Started by ros2 launch, whatever environment is active."""
    packages = pytest.importorskip('ament_index_python', reason='ROS 2 is not installed')
    try:
        prefix = pathlib.Path(packages.get_package_prefix('lvs_ros'))
    except packages.PackageNotFoundError:
        pytest.skip('lvs_ros was not built with colcon')
    first_line = (prefix / 'lib' / 'lvs_ros' / program).read_text('utf-8').split('\n')[0]
    python = first_line.removeprefix('#!')
    told = subprocess.run([python, '-c', 'import sys; print(sys.prefix)'], capture_output=True,
                          text=True, check=True)
    assert told.stdout.strip() == sys.prefix


@pytest.mark.parametrize('job', ['workspace', 'build-farm'])
def test_both_distributions_are_built_and_tested(job: str) -> None:
    description = workflow('ros.yaml')['jobs'][job]
    assert description['strategy']['matrix']['ros'] == DISTRIBUTIONS
    commands = '\n'.join(step.get('run', '') for step in description['steps'])
    assert 'colcon build' in commands and 'colcon test-result' in commands


def test_every_step_of_a_workflow_does_something() -> None:
    for path in (REPOSITORY / '.github' / 'workflows').glob('*.yaml'):
        for job in workflow(path.name)['jobs'].values():
            assert all(('run' in step) != ('uses' in step) for step in job['steps']), path


def test_the_container_installs_pinned_versions() -> None:
    # The Dockerfile takes these lines as they are.
    for package in ('torch', 'safetensors', 'simplejpeg'):
        line, = re.findall(rf'^{package}==.*$', read('requirements.txt'), re.MULTILINE)
        assert re.fullmatch(rf'{package}==[\d.]+', line)


def test_both_services_of_compose_build_this_container() -> None:
    services = yaml.safe_load(read('compose.yaml'))['services']
    assert {service['build']['args']['TORCH'] for service in services.values()} == {'cpu', 'cuda'}
