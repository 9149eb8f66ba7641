# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The commands in the documents: those without a mark are run, on small data; the others exist.

A comment before a block marks it. ``<!-- not run: REASON -->``: its commands and options are
checked. ``<!-- run with: train --steps 1 -->``: words that are added where it is run here.
"""

import contextlib
import io
import pathlib
import re
import shutil

import cv2
import numpy as np
import pytest
import torch

from foreign_networks import (CLASSIFIER50, MM50, MmPspHead, MmResNet, MmSegmentor,
                              TorchvisionResNet, randomise)
from lvs_ros.recordings.video import VideoWriter
from lvs_ros.tools.cli import main
from shell_blocks import (MEASURED, PAGES, REPOSITORY, Block, blocks_of, commands_of, fault,
                          inline_fault)

pytestmark = pytest.mark.usefixtures('one_core')

SIZE = 64, 48
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
TO_RUN = {page.name: blocks for page in PAGES
          if (blocks := [block for block in blocks_of(page) if not block.reason])}


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory, one_core: None) -> pathlib.Path:
    """Return a folder with what the documents' examples name."""
    folder = tmp_path_factory.mktemp('examples')
    for name in ('my_drive', 'my_drive/train', 'my_drive/val', 'my_other_drive', 'camvid/train',
                 'camvid/val'):
        write_labelled(folder / name)
    data_page = (REPOSITORY / 'docs' / 'data.md').read_text(encoding='utf-8')
    (folder / 'my_classes.yaml').write_text(
        re.findall(r'^```yaml\n(.*?)^```$', data_page, re.MULTILINE | re.DOTALL)[0])
    for name in ('frames', 'drive2'):
        shutil.copytree(folder / 'my_drive' / 'images', folder / name)
    assert main(['record-images', str(folder / 'frames'), str(folder / 'bag')]) == 0
    for name in ('drive.mcap', 'drive1.mcap'):
        shutil.copy(next((folder / 'bag').glob('*.mcap')), folder / name)
    with VideoWriter(folder / 'front.mp4', rate_hz=10.0) as video:
        for index, path in enumerate(sorted((folder / 'frames').iterdir())):
            video.write(cv2.imread(str(path)), index * 100_000_000)
    backbone = MmResNet(4, MM50, True, v1c=True)
    network = MmSegmentor(backbone, MmPspHead(backbone.channels, 19, False), False)
    torch.save(randomise(network).state_dict(), folder / 'pspnet_r101-d8.pth')
    torch.save(randomise(TorchvisionResNet(4, CLASSIFIER50, True)).state_dict(),
               folder / 'resnet101.pth')
    return folder


def write_labelled(folder: pathlib.Path) -> None:
    """Write six images with labels 0 to 3, of two drives."""
    random = np.random.default_rng(0)
    rows = ['image,time,drive']
    for part in ('images', 'labels'):
        (folder / part).mkdir(parents=True)
    for number in range(6):
        labels = cv2.resize(random.integers(0, 4, (4, 4)).astype(np.uint8), SIZE,
                            interpolation=cv2.INTER_NEAREST)
        image = np.repeat(labels[..., None] * 60, 3, axis=2) \
            + random.integers(0, 40, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
        for part, content in (('images', image), ('labels', labels)):
            cv2.imwrite(str(folder / part / f'{number}.png'), content)
        rows.append(f'{number}.png,{number / 10},{"monday" if number < 4 else "tuesday"}')
    (folder / 'times.csv').write_text('\n'.join(rows) + '\n')


def run(block: Block) -> None:
    """Run the commands of a block here, in this process."""
    for words in commands_of(block.text):
        if words[0] == 'lvs':
            more = block.more.get(words[1], [])
            assert main([*words[1:], *more]) == 0, f'{block.place}: {" ".join(words)}'
        elif words[:2] == ['python', '-c']:
            exec(words[2], {'__name__': '__main__'})
        else:
            pytest.fail(f'{block.place}: {words[0]} is not run here: mark the block with '
                        '<!-- not run: REASON -->')


@pytest.mark.parametrize('page', TO_RUN)
def test_what_a_page_says_can_be_done(page: str, place: pathlib.Path, tmp_path: pathlib.Path,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(place, tmp_path / 'here')
    monkeypatch.chdir(tmp_path / 'here')
    for block in TO_RUN[page]:
        run(block)


def test_each_task_is_run() -> None:
    done = {words[1] for blocks in TO_RUN.values() for block in blocks
            for words in commands_of(block.text) if words[0] == 'lvs'}
    assert done >= {'replay', 'evaluate', 'train', 'labels', 'import-checkpoint'}


def test_the_example_of_the_python_api_runs() -> None:
    page = (REPOSITORY / 'docs' / 'api.md').read_text(encoding='utf-8')
    example, = re.findall(r'^```python\n(.*?)^```$', page, re.MULTILINE | re.DOTALL)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(example, {})
    first, *others = output.getvalue().splitlines()
    assert first.startswith('True None') and first.endswith('there is no frame before it')
    assert len(others) == 2 and all(line.endswith('None') for line in others)


@pytest.mark.parametrize('block', BLOCKS, ids=lambda block: block.place)
def test_commands_and_options_exist(block: Block) -> None:
    assert [text for words in commands_of(block.text) if (text := fault(words))] == []


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_options_in_running_text_exist(page: pathlib.Path) -> None:
    text = re.sub(r'^ *```.*?^ *```$', '', page.read_text(encoding='utf-8'),
                  flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r'^(    |\t)+(lvs|lvs_node|make|ros2|python) ', text, re.MULTILINE), \
        'an indented block of code: put it between ```sh and ```'
    codes = re.findall(r'`((?:lvs|make) [^`]+)`', re.sub(r'\s*\n\s*', ' ', text))
    assert [wrong for code in codes if (wrong := inline_fault(code))] == []


# --- what these tests would find


@pytest.mark.parametrize('text', [
    'lvs replay drive.mcap --out result --treshold 0.2', 'lvs replai drive.mcap --out result',
    'lvs replay drive.mcap --out result --threshold high', 'lvs evaluate --out result',
    'lvs train --stages nothing', 'make tests', 'make test ARG=-x',
    'lvs_node --ros-args -p treshold:=0.2', 'lvs_node --ros-args -p threshold:=2.0',
    'lvs_node -p threshold:=0.2', 'ros2 launch lvs_ros lvs.launch.py image:=/camera/image_raw',
    'ros2 param set /lvs treshold 0.2', 'ros2 param set /lvs model other',
    'until lvs train --camvid my_drive --outt run; do'])
def test_a_command_that_cannot_be_is_found(text: str) -> None:
    assert any(fault(words) for words in commands_of(text)), text


@pytest.mark.parametrize('text', [
    'lvs replay drive.mcap --out result --threshold 0.2   # a comment',
    'lvs evaluate --camvid camvid/val \\\n    --rows per_frame low_latency',
    "make test ARGS='-k schedule -x'", 'make setup && . ./env.sh',
    'lvs_node --ros-args -p threshold:=0.2 -r image_raw:=/camera/image_raw',
    'ros2 launch lvs_ros lvs.launch.py image_topic:=/camera/image_raw threshold:=0.2',
    'ros2 param set /lvs threshold 0.2'])
def test_a_command_that_can_be_is_not(text: str) -> None:
    assert [fault(words) for words in commands_of(text) if fault(words)] == []


def test_wrong_options_in_running_text_are_found() -> None:
    assert inline_fault('lvs train --colour') and inline_fault('make tea')
    assert not inline_fault('lvs labels check DIR --labels my_classes.yaml')


def test_marks(tmp_path: pathlib.Path) -> None:
    page = tmp_path / 'page.md'
    page.write_text('<!-- not run: an hour -->\n```sh\nlvs soak\n```\n\n'
                    '1. Train.\n\n   <!-- run with: train --steps 1; replay --force -->\n'
                    '   ```sh\n   lvs train --out a\n   ```\n\n```sh\nls\n```\n')
    marked, more, plain = blocks_of(page)
    assert (marked.place, marked.reason, marked.more) == ('page.md:2', 'an hour', {})
    assert more.text == 'lvs train --out a\n'
    assert more.more == {'train': ['--steps', '1'], 'replay': ['--force']}
    assert (plain.reason, plain.more) == ('', {})
    with pytest.raises(pytest.fail.Exception, match='page.md:13: ls is not run here'):
        run(plain)
    measured = tmp_path / MEASURED[0]
    measured.write_text('```sh\nlvs evaluate --camvid camvid/val\n```\n')
    assert blocks_of(measured)[0].reason
