# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How commands end: one line for what a user can mend, a traceback for a bug."""

import contextlib
import errno
import os
import pathlib
import resource
import signal
import subprocess
import sys
from typing import Callable, Iterator, Sequence

import bags
import cv2
import pytest
import torch

from lvs_ros.errors import ConfigurationError, OutputError
from lvs_ros.model import load_network, save_network
from lvs_ros.recordings.video import VideoWriter
from lvs_ros.tools.cli import main
from lvs_ros.tools.ending import ended


def failing(error: BaseException) -> Callable[[], int]:
    def run() -> int:
        raise error

    return run


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize('error, expected', [
    (ConfigurationError('choose another'), 'choose another'),
    (no_space(), 'No space left on device'),
    (PermissionError(errno.EACCES, 'Permission denied', '/x/y'), '/x/y: Permission denied'),
    (OSError(errno.ELOOP, os.strerror(errno.ELOOP), b'/x'), '/x: Too many levels'),
    (OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), '/x'), '/x: File name too long'),
    (MemoryError(), 'memory'), (torch.OutOfMemoryError('CUDA out of memory.\nTry'), 'CUDA out'),
], ids=lambda value: value if isinstance(value, str) else '')
def test_what_a_user_can_mend_is_one_line(error: Exception, expected: str,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(failing(error), 'lvs tool') == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith('lvs tool: error: ') and expected in line


@pytest.mark.parametrize('error', [
    ValueError('a bug'), RecursionError(), OSError(errno.EBADF, 'Bad file descriptor'),
    PermissionError(errno.EPERM, 'not of a file'), RuntimeError('shapes differ')])
def test_a_bug_is_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)):
        ended(failing(error), 'lvs tool')


def test_the_memory_of_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: len(torch.empty(1 << 58)), 'lvs tool') == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize('words', [
    ['evaluate', '--camvid', 'x', '--rate', '1e300'], ['play', 'x', '--rate', '1e-320'],
    ['evaluate', '--camvid', 'x', '--slow-delay-s', '1e300'],
    ['train', '--out', 'x', '--steps', '5', '9' * 30], ['street', '--origin-ns', '9' * 30],
    ['record-images', 'x', 'y', '--rate', '1/' + '9' * 30], ['demo', '--domain-id', '233'],
    ['demo', '--domain-id', '-1']])
def test_options_that_cannot_be(words: list[str], capsys: pytest.CaptureFixture[str],
                                tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f'lvs {words[0]}: error: ')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('topic', ['a/', '!'])
def test_topics_that_cannot_be(topic: str, ros_domain: int, capsys: pytest.CaptureFixture[str]
                               ) -> None:
    assert main(['street', '--topic', topic]) == 2
    assert 'lvs street: error: Invalid topic name' in capsys.readouterr().err


def test_interrupted() -> None:
    assert ended(failing(KeyboardInterrupt()), 'lvs tool') == 130


def lvs(words: Sequence[str], **options: object) -> 'subprocess.Popen[bytes]':
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONUNBUFFERED'}
    return subprocess.Popen([sys.executable, '-m', 'lvs_ros.tools.cli', *words],  # type: ignore
                            stderr=subprocess.PIPE, env=environment, **options)


def test_a_reader_that_goes_away_is_no_error() -> None:
    reader, writer = os.pipe()
    with lvs(['--help'], stdout=writer) as process:
        os.close(writer)
        os.close(reader)    # as head does
        assert process.communicate()[1] == b''
    assert process.returncode == 141


def test_an_output_that_is_full() -> None:
    with open('/dev/full', 'wb') as full, lvs(['--help'], stdout=full) as process:
        error = process.communicate()[1].decode()
    assert process.returncode == 2
    assert error == 'lvs: error: the output cannot be written (No space left on device)\n'


def test_ctrl_c_while_modules_are_loaded(tmp_path: pathlib.Path) -> None:
    # the tool's own import tells when it has begun, and does not end
    (tmp_path / 'torch.py').write_text(
        'import sys, time\n'
        'try:\n'
        '    print("importing", flush=True)\n'
        '    time.sleep(60)\n'
        'except BaseException as error:\n'
        '    raise ImportError("torch cannot be loaded") from error\n', encoding='utf-8')
    program = (f'import sys; sys.path.insert(0, {str(tmp_path)!r}); '
               'from lvs_ros.tools.cli import main; sys.exit(main(["train"]))')
    with subprocess.Popen([sys.executable, '-c', program],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == 'importing\n'
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1] == ''
    assert process.returncode == 130


@contextlib.contextmanager
def room_for(length: int) -> Iterator[None]:
    """Let no file become longer than this, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def images(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / 'images'
    folder.mkdir()
    for number, image in enumerate(bags.pictures(8)):
        encoded = cv2.imencode('.png', image)[1]
        (folder / f'{number}.png').write_bytes(encoded.tobytes())
    return folder


def told(words: Sequence[str], limit: int, capsys: pytest.CaptureFixture[str]) -> str:
    with room_for(limit):
        assert main(words) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith('lvs ')]
    return line


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_recording_on_a_full_disk(storage: str, images: pathlib.Path, tmp_path: pathlib.Path,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / 'place'
    place.mkdir()
    for limit in (3, 100, 1500, 3000):    # it fails sooner or later
        line = told(['record-images', str(images), str(place / 'bag'), '--raw', '--storage',
                     storage], limit, capsys)
        assert f'{place / "bag"}: ' in line and '.partial' not in line
        assert list(place.iterdir()) == []


def test_a_replay_on_a_full_disk(images: pathlib.Path, tiny_model: pathlib.Path,
                                 tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
                                 ) -> None:
    place = tmp_path / 'place'
    place.mkdir()
    assert main(['record-images', str(images), str(tmp_path / 'bag')]) == 0
    for limit in (300, 10_000):
        line = told(['replay', str(tmp_path / 'bag'), '--out', str(place / 'out'), '--model',
                     str(tiny_model)], limit, capsys)
        assert str(place / 'out') in line and '.partial' not in line
        assert list(place.iterdir()) == []


@pytest.mark.parametrize('length', [3, 700])
def test_a_video_on_a_full_disk(tmp_path: pathlib.Path, length: int) -> None:
    path = tmp_path / 'video.mp4'
    # some errors show when the file is closed, and closing it again must not hide them
    with room_for(length), pytest.raises(OutputError, match=f'{path}: .*File too large'):
        with VideoWriter(path) as video:
            for number, image in enumerate(bags.pictures(4)):
                video.write(image, number * 100_000_000)
    assert list(tmp_path.iterdir()) == []


def test_a_model_on_a_full_disk(tiny_model: pathlib.Path, tmp_path: pathlib.Path) -> None:
    network = load_network(tiny_model)
    path = tmp_path / 'model.safetensors'
    with room_for(1000), pytest.raises(OSError, match=str(path)):
        save_network(network, path)
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_to(images: pathlib.Path, tmp_path: pathlib.Path,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'file').write_text('a file', encoding='utf-8')
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    for place in (tmp_path / 'file' / 'bag', tmp_path / 'loop', tmp_path / 'loop' / 'bag',
                  tmp_path / ('a' * 300), pathlib.Path('/dev/full'),
                  pathlib.Path('/proc/nonsense/bag'), pathlib.Path('/proc')):
        assert main(['record-images', str(images), str(place)]) == 2
        [line] = [line for line in capsys.readouterr().err.splitlines() if 'image/s' not in line]
        assert line.startswith('lvs record-images: error: ')
    assert (tmp_path / 'file').read_text(encoding='utf-8') == 'a file'


def test_files_that_cannot_be_read(tmp_path: pathlib.Path, tiny_model: pathlib.Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    for ending in ('.mcap', '.safetensors'):
        (tmp_path / f'loop{ending}').symlink_to(tmp_path / f'loop{ending}')
        os.mkfifo(tmp_path / f'fifo{ending}')
        (tmp_path / f'folder{ending}').mkdir()
    files = [*tmp_path.iterdir(), tmp_path / ('a' * 300)]
    out = tmp_path / 'out'
    for file in map(str, files):
        for words in (['replay', file, '--out', str(out)],
                      ['benchmark', '--model', file, '--no-dds', '--out', str(out)],
                      ['record-images', file, str(out)], ['evaluate', '--camvid', file],
                      ['import-checkpoint', file, '--out', f'{out}.safetensors'],
                      ['train', '--recording', file, '--out', str(out), '--init',
                       str(tiny_model)],
                      ['import-checkpoint', str(tiny_model), '--labels', file, '--out',
                       f'{out}.safetensors']):
            assert main(words) == 2, words
            lines = capsys.readouterr().err.splitlines()
            assert lines[-1].startswith(f'lvs {words[0]}: error: '), words
    assert not out.exists()
