# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The table of options: what it accepts and refuses, and what is made from it."""

import argparse
import math
import pathlib
from typing import Any

import pytest
import yaml

from lvs_ros.errors import ConfigurationError
from lvs_ros.options import GONE, OPTIONS, NodeOptions, PipelineOptions, parameter_file
from lvs_ros.tools.cli import main
from lvs_ros.tools.pipeline_options import add_options, pipeline_options

FILE = pathlib.Path(__file__).parent.parent / 'config' / 'lvs.yaml'


@pytest.mark.parametrize('values, told', [
    ({'threshold': 1.5}, 'threshold: 1.5 is not between 0 and 1'),
    ({'threshold': math.nan}, 'threshold: nan is not between 0 and 1'),
    ({'threshold': True}, 'threshold: expected a number, not True'),
    ({'schedule': 'never'}, "schedule: 'never' is none of low_latency, adaptive, fixed, "),
    ({'precision': 'float8'}, "precision: 'float8' is none of auto, float32"),
    ({'fixed_interval': 0}, 'fixed_interval: 0 is not between 1 and'),
    ({'max_key_age_frames': 2.5}, 'max_key_age_frames: expected a whole number, not 2.5'),
    ({'cpu_threads': -1}, 'cpu_threads: -1 is not between 0 and 1024'),
    ({'realtime_priority': 100}, 'realtime_priority: 100 is not between 0 and 99'),
    ({'flip_averaging': 'yes'}, "flip_averaging: expected true or false, not 'yes'"),
    ({'inference_size': '3x3'}, "inference_size is '3x3': expected auto"),
    ({'output_size': (0, 100)}, 'output_size: expected [width, height] in whole pixels from 16'),
    ({'output_size': (15, 100)}, 'output_size: expected [width, height] in whole pixels from 16'),
    ({'output_size': 640}, 'output_size: expected [width, height]'),
    ({'threshold': 7, 'schedule': 'never', 'inference_size': ''},
     'inference_size is'),
])
def test_what_cannot_be_is_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        PipelineOptions(**values)
    assert told in str(refused.value)
    assert all(name in str(refused.value) for name in values), 'all at once'


def test_values_have_the_type_of_the_default() -> None:
    options = PipelineOptions(threshold=1, output_size=[640, 480])  # type: ignore[arg-type]
    assert (options.threshold, type(options.threshold)) == (1.0, float)
    assert options.output_size == (640, 480)
    assert NodeOptions(warm_up_size=(0, 0)).warm_up_size == (0, 0)


def test_the_parameter_file_is_that_of_the_table() -> None:
    assert FILE.read_text(encoding='utf-8') == parameter_file(), \
        'run: python -m lvs_ros.options > config/lvs.yaml'
    assert max(map(len, parameter_file().splitlines())) < 100
    found = {name: tuple(value) if isinstance(value, list) else value for name, value
             in yaml.safe_load(parameter_file())['/**']['ros__parameters'].items()}
    expected = {name: option.default for name, option in OPTIONS.items()}
    assert found == expected
    assert list(map(type, found.values())) == list(map(type, expected.values())), \
        'ROS is strict about it'


def test_the_command_line_has_the_options_of_the_table(
        capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, 'threshold', 'schedule', 'cpu_threads', 'flip_averaging')
    assert pipeline_options(parser.parse_args([])) == PipelineOptions()
    assert pipeline_options(parser.parse_args(
        ['--threshold', '1', '--schedule', 'fixed', '--cpu-threads', '3', '--no-flip-averaging'])
    ) == PipelineOptions(threshold=1.0, schedule='fixed', cpu_threads=3, flip_averaging=False)
    with pytest.raises(SystemExit):
        parser.parse_args(['--help'])
    shown = ' '.join(capsys.readouterr().out.split())
    assert OPTIONS['threshold'].description + ' (default: 0.1)' in shown
    assert '--cpu-threads THREADS' in shown
    with pytest.raises(ConfigurationError, match='threshold: 2.0 is not between'):
        pipeline_options(parser.parse_args(['--threshold', '2']))


@pytest.mark.parametrize('word, name', [
    ('--mirror', 'mirror'), ('--no-mirror', 'mirror'), ('--cpu-sharing', 'cpu_sharing'),
    ('--fast-threads=2', 'fast_threads'), ('--no-bind-threads', 'bind_threads'),
    ('--slow-track', 'slow_track')])
@pytest.mark.parametrize('command', ['evaluate', 'replay'])
def test_an_option_that_is_gone_is_refused_with_what_to_do(
        command: str, word: str, name: str, tmp_path: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    needed = {'evaluate': ['--camvid', str(tmp_path)],
              'replay': [str(tmp_path), '--out', str(tmp_path / 'out')]}[command]
    with pytest.raises(SystemExit) as ended:
        main([command, *needed, word])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert f'{word} is gone: {GONE[name]}' in told and 'unrecognized' not in told


def test_an_unknown_option_is_reported_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(['evaluate', '--camvid', 'folder', '--nonsense'])
    assert ended.value.code == 2
    assert 'unrecognized arguments: --nonsense' in capsys.readouterr().err
