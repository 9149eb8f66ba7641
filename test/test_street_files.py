# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs street --out``: labelled drives that the other commands read."""

import pathlib

import cv2
import numpy as np
import pytest

from lvs_ros.datasets.camvid import list_camvid
from lvs_ros.street import StreetScene
from lvs_ros.tools.cli import main


def write(folder: pathlib.Path, *words: str) -> int:
    """Run the command at a small size."""
    return main(['street', '--out', str(folder), '--size', '64x48', '--rate', '4', *words])


def test_drives_are_read_as_they_were_drawn(tmp_path: pathlib.Path) -> None:
    assert write(tmp_path / 'street', '--seed', '7', '--drives', '2', '--duration', '0.75',
                 '--begin', '20') == 0
    frames = list_camvid(tmp_path / 'street')
    assert [(frame.sequence, frame.time_s) for frame in frames] == [
        (f'street{seed}', pytest.approx(time_s)) for seed in (7, 8) for time_s in (0, 0.25, 0.5)]
    for seed in (7, 8):
        image, labels = StreetScene(seed=seed, width=64, height=48).render(20.5)
        name = f'street{seed}_00002.png'
        written = cv2.imread(str(tmp_path / 'street' / 'images' / name))
        assert written is not None
        np.testing.assert_array_equal(written[..., ::-1], image)
        np.testing.assert_array_equal(cv2.imread(
            str(tmp_path / 'street' / 'labels' / name), cv2.IMREAD_UNCHANGED), labels)


def test_nothing_is_replaced_unasked(tmp_path: pathlib.Path,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'notes.txt').write_text('keep')
    assert write(tmp_path / 'mine', '--duration', '0.25', '--force') == 2
    assert (tmp_path / 'mine' / 'notes.txt').read_text() == 'keep'
    assert write(tmp_path / 'street', '--duration', '0.25') == 0
    assert write(tmp_path / 'street', '--duration', '0.25') == 2
    assert '--force' in capsys.readouterr().err
    assert write(tmp_path / 'street', '--duration', '0.5', '--force') == 0
    assert len(list_camvid(tmp_path / 'street')) == 2


@pytest.mark.parametrize('words', [('--duration', '0.1'), ('--drives', '0'), ('--rate', '0')])
def test_what_cannot_be_drawn_is_refused(words: tuple[str, ...], tmp_path: pathlib.Path) -> None:
    assert write(tmp_path / 'street', *words) == 2
    assert not (tmp_path / 'street').exists()


def test_options_of_files_need_a_folder() -> None:
    assert main(['street', '--drives', '3', '--duration', '0.1']) == 2
