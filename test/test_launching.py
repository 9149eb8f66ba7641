# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the launch files make of their arguments."""

import pathlib

import pytest

from lvs_ros.errors import ConfigurationError
from lvs_ros.exit_codes import is_worth_a_restart
from lvs_ros.launching import (check_params_file, node_name, parameter_values, topic_names,
                               transport_of)


def test_empty_arguments_set_nothing() -> None:
    assert parameter_values({'model': '', 'threshold': '', 'use_sim_time': ''}) == {}


@pytest.mark.parametrize('name, text, value', [
    ('model', '12', '12'), ('labels', 'camvid', 'camvid'), ('threshold', '1', 1.0),
    ('threshold', '2e-1', 0.2), ('output_size', '640x480', [640, 480]),
    ('warm_up_size', '0x0', [0, 0]), ('inference_size', 'auto', 'auto'),
    ('inference_size', '640x480', '640x480'), ('autostart', 'false', False),
    ('use_sim_time', 'True', True)])
def test_what_an_argument_means(name: str, text: str, value: object) -> None:
    values = parameter_values({name: text})
    assert values == {name: value}
    assert type(values[name]) is type(value), 'ROS is strict about it'


@pytest.mark.parametrize('name, text', [
    ('threshold', 'abc'), ('threshold', 'nan'), ('threshold', '-inf'), ('threshold', '0,2'),
    ('output_size', '640'), ('output_size', '640x'), ('warm_up_size', '-1x3'),
    ('warm_up_size', '[640, 480]'),
    ('autostart', 'maybe'), ('use_sim_time', '1')])
def test_an_argument_that_means_nothing_is_named(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f'^argument {name}: expected .*{text[-1]}'):
        parameter_values({name: text})


@pytest.mark.parametrize('transport, topic, used, names', [
    ('', 'image_raw', '', ('image_raw', 'image_raw/compressed')),
    ('compressed', '/cam', 'compressed', ('/cam', '/cam/compressed')),
    ('compressed', '/cam/compressed', 'compressed', ('/cam', '/cam/compressed')),
    ('', '/cam/compressed', 'compressed', ('/cam', '/cam/compressed')),
    # someone's own name for a raw topic
    ('raw', '/cam/compressed', 'raw', ('/cam/compressed', '/cam/compressed/compressed'))])
def test_topics(transport: str, topic: str, used: str, names: tuple[str, str]) -> None:
    assert transport_of(transport, topic) == used
    assert topic_names(topic, used) == names


@pytest.mark.parametrize('outer, namespace, expected', [
    ('', '', '/lvs'), ('', 'front', '/front/lvs'), ('/car', 'front', '/car/front/lvs'),
    ('/car', '/front/', '/front/lvs')])
def test_full_names(outer: str, namespace: str, expected: str) -> None:
    assert node_name(outer, namespace, 'lvs') == expected


def written(folder: pathlib.Path, text: str) -> str:
    path = folder / 'params.yaml'
    path.write_text(text)
    return str(path)


# The patterns are those of rcl: "ROS 2 design, ROS command line arguments, parameter files".
@pytest.mark.parametrize('section', [
    '/**', '/front/lvs', '/front/*', '/*/lvs', '/**/lvs', 'front/lvs', 'front:\n  lvs'])
def test_a_params_file_for_the_node(tmp_path: pathlib.Path, section: str) -> None:
    indent = '    ' if '\n' in section else '  '
    text = f'{section}:\n{indent}ros__parameters:\n{indent}  threshold: 0.2\n'
    assert check_params_file(written(tmp_path, text), '/front/lvs') is None


@pytest.mark.parametrize('section', ['/lvs', '/*', '/front/lvs2', '/front', '/*/*/lvs'])
def test_a_params_file_for_other_nodes(tmp_path: pathlib.Path, section: str) -> None:
    text = f'{section}:\n  ros__parameters:\n    threshold: 0.2\n'
    warning = check_params_file(written(tmp_path, text), '/front/lvs')
    assert warning is not None and f'for {section}, and none for /front/lvs' in warning


@pytest.mark.parametrize('text, reason', [
    ('', 'has no parameters'), ('just text', 'has no parameters'), ('- a', 'has no parameters'),
    ('threshold: 0.2', 'has no parameters'), ('a: [', 'no YAML'), ('a: \x00', 'no YAML')])
def test_a_params_file_without_parameters(tmp_path: pathlib.Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f'^argument params_file: .*{reason}'):
        check_params_file(written(tmp_path, text), '/lvs')


def test_a_params_file_that_is_not_there(tmp_path: pathlib.Path) -> None:
    for path, reason in ((tmp_path / 'missing', 'No such file'), (tmp_path, 'Is a directory')):
        with pytest.raises(ConfigurationError, match=f'cannot read {path}: {reason}'):
            check_params_file(str(path), '/lvs')


@pytest.mark.parametrize('code, worth', [
    (0, False), (1, True), (2, False), (102, False), (130, False), (137, True), (-9, True)])
def test_what_is_worth_a_restart(code: int, worth: bool) -> None:
    assert is_worth_a_restart(code) == worth
