# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The training loop: exact resuming, what broken files do, several processes, logs and curves."""

import json
import math
import os
import pathlib
import signal
import socket
import subprocess
import sys
from typing import Callable, Optional

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from lvs_ros.backends.cpu.library import has_amx_instructions
from lvs_ros.errors import ConfigurationError, ModelFileError, TrainingError
from lvs_ros.tools.interruption import interruption_noted
from lvs_ros.training import distributed, loop, stage_log
from lvs_ros.training.best import Measured
from lvs_ros.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from lvs_ros.training.curves import plot_curves, smoothed
from lvs_ros.training.loop import LoopOptions, fit
from lvs_ros.training.progress_display import RecentSteps, describe
from lvs_ros.training.random_state import RandomState
from lvs_ros.training.selection import Validation
from lvs_ros.training.stage_log import Record, StageLog, read_records

pytestmark = pytest.mark.usefixtures('one_thread', 'no_curves')

CPU = torch.device('cpu')
Compute = Callable[[], dict[str, torch.Tensor]]


def small_model() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.2),
                         nn.Conv2d(3, 1, 1)).train()


def random_losses(model: nn.Module, generator: np.random.Generator) -> Compute:
    def losses() -> dict[str, torch.Tensor]:
        images = torch.randn(2, 2, 6, 6) + float(generator.random())
        output = model(images)
        return {'square': (output - images[:, :1, 1:5, 1:5]).square().mean(),
                'size': 0.1 * output.abs().mean()}
    return losses


def options(folder: Optional[pathlib.Path], *, steps: int = 6, stop_after: int = 10 ** 6,
            **more: object) -> LoopOptions:
    looks = iter(range(10 ** 6))
    return LoopOptions(steps=steps, batch_size=2, learning_rate=0.01, folder=folder,
                       should_stop=lambda: next(looks) >= stop_after, **more)  # type: ignore


def train(folder: Optional[pathlib.Path], **more: int) -> dict[str, torch.Tensor]:
    model, generator = small_model(), np.random.default_rng(5)
    torch.manual_seed(7)
    fit('stage', model, random_losses(model, generator), options(folder, **more),
        generator=generator)
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_an_interrupted_stage_ends_with_the_same_weights(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = train(None)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, stop_after=3)
    path = tmp_path / 'stage.checkpoint.safetensors'
    assert f'interrupted at step 3 of 6; the same command goes on from {path}' \
        in capsys.readouterr().out
    found = train(tmp_path)
    assert 'goes on from step 3 of 6' in capsys.readouterr().out
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    again = train(tmp_path)                 # nothing is left to do
    assert 'was trained before' in capsys.readouterr().out
    assert all(torch.equal(again[name], value) for name, value in expected.items())


def test_a_signal_ends_a_stage_after_the_step(tmp_path: pathlib.Path) -> None:
    model = nn.Linear(1, 1)
    steps = []

    def losses() -> dict[str, torch.Tensor]:
        steps.append(1)
        if len(steps) == 2:
            signal.raise_signal(signal.SIGTERM)
        return {'square': model.weight.square().sum()}

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interruption_noted() as is_interrupted:
        fit('stage', model, losses, LoopOptions(
            steps=9, batch_size=1, learning_rate=0.1, folder=tmp_path,
            should_stop=is_interrupted))
    assert len(steps) == 2 and signal.getsignal(signal.SIGTERM) is before
    assert described(tmp_path / 'stage.checkpoint.safetensors')['step'] == 2


def test_an_impatient_second_signal_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), interruption_noted() as is_interrupted:
        assert not is_interrupted()
        signal.raise_signal(signal.SIGINT)
        assert is_interrupted()
        signal.raise_signal(signal.SIGINT)
        pytest.fail('still there')


def described(path: pathlib.Path) -> dict[str, object]:
    with safetensors.safe_open(path, framework='pt') as file:
        return json.loads(file.metadata()['training'])


def state_of(model: nn.Module,
             optimiser: type[torch.optim.AdamW] | type[torch.optim.SGD] = torch.optim.AdamW
             ) -> TrainingState:
    average = torch.optim.swa_utils.AveragedModel(model, use_buffers=True)
    return TrainingState(model, average, optimiser(model.parameters()))


@pytest.fixture(scope='module')
def checkpoint_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp('checkpoint')
    with pytest.raises(KeyboardInterrupt):
        train(folder, stop_after=2)
    assert sorted(path.name for path in folder.iterdir()) == [
        'curves.png', 'stage.checkpoint.safetensors', 'stage.jsonl', 'tensorboard']
    return (folder / 'stage.checkpoint.safetensors').read_bytes()


@pytest.fixture
def checkpoint(tmp_path: pathlib.Path, checkpoint_bytes: bytes) -> pathlib.Path:
    path = tmp_path / 'stage.checkpoint.safetensors'
    path.write_bytes(checkpoint_bytes)
    return path


def check_refused(path: pathlib.Path, words: str, *, stage: str = 'stage',
                  state: Optional[TrainingState] = None) -> None:
    state = state or state_of(small_model())
    before = {name: value.clone() for name, value in state.trained.state_dict().items()}
    with pytest.raises(ModelFileError, match=words) as caught:
        load_checkpoint(path, stage, state)
    assert str(caught.value).startswith(f'{path}: ') and 'remove it' in str(caught.value)
    assert state.step == 0 and not state.optimiser.state
    assert all(torch.equal(value, before[name])
               for name, value in state.trained.state_dict().items())


def test_a_checkpoint_that_does_not_fit_is_refused(checkpoint: pathlib.Path) -> None:
    load_checkpoint(checkpoint, 'stage', state_of(small_model()))
    check_refused(checkpoint, "of the stage 'stage', expected one of 'other'", stage='other')
    check_refused(checkpoint, "of the optimiser 'AdamW', expected 'SGD'",
                  state=state_of(small_model(), torch.optim.SGD))
    other = small_model()
    other[3] = nn.Conv2d(3, 4, 1)
    check_refused(checkpoint, r'weights.3.weight has shape \(1, 3, 1, 1\) instead of '
                              r'\(4, 3, 1, 1\)', state=state_of(other))
    check_refused(checkpoint, 'another model.*weights.0.weight is unknown',
                  state=state_of(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3))))


@pytest.mark.parametrize('size', [0, 4, 100, -1])
def test_a_checkpoint_that_was_cut_short_is_refused(checkpoint: pathlib.Path, size: int) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:size])
    check_refused(checkpoint, 'cut short')


def test_one_wrong_bit_in_a_checkpoint_is_refused(checkpoint: pathlib.Path) -> None:
    content = bytearray(checkpoint.read_bytes())
    content[-2] ^= 1 << 4    # in a number, which it changes a little
    checkpoint.write_bytes(content)
    check_refused(checkpoint, 'damaged, for its content does not fit its checksum')


def test_foreign_and_damaged_checkpoints_are_refused(checkpoint: pathlib.Path) -> None:
    tensors = safetensors.torch.load_file(checkpoint)
    training = described(checkpoint)

    def rewrite(metadata: dict[str, str], changed: dict[str, torch.Tensor] = {}) -> None:
        safetensors.torch.save_file({**tensors, **changed}, checkpoint, metadata)

    rewrite({})
    check_refused(checkpoint, 'not a checkpoint of lvs_ros')
    ours = {'format': 'lvs_ros checkpoint 1'}
    for text in ('', '{', '[]', '{"stage": "stage"}', json.dumps({**training, 'step': 'x'}),
                 json.dumps({**training, 'numpy': [None, None]})):
        rewrite({**ours, 'training': text})
        check_refused(checkpoint, 'damaged')
    rewrite({**ours, 'training': json.dumps(training)},
            {'optimiser.0.weight:exp_avg': torch.zeros(5)})
    check_refused(checkpoint, "exp_avg of the optimiser does not fit the parameter '0.weight'")
    rewrite({**ours, 'training': json.dumps({**training, 'numpy': [{'bit_generator': 'X'}]})})
    with pytest.raises(ModelFileError, match='other random generators'):
        train(checkpoint.parent)


def test_a_checkpoint_is_whole_or_not_there(tmp_path: pathlib.Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    state, path = state_of(small_model()), tmp_path / 'x.checkpoint.safetensors'
    save_checkpoint(path, 'x', state, [RandomState.capture(CPU, None)])
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full)
    state.step = 1
    with pytest.raises(TrainingError, match='No space left.*make room'):
        save_checkpoint(path, 'x', state, [])
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_moments_come_back_in_the_layout_of_their_weights(tmp_path: pathlib.Path) -> None:
    def layered() -> nn.Conv2d:
        return nn.Conv2d(4, 4, 3).to(
            memory_format=torch.channels_last)  # type: ignore[call-overload]

    first, second, path = layered(), layered(), tmp_path / 'x'
    state, loaded = state_of(first), state_of(second)
    first(torch.randn(1, 4, 3, 3)).sum().backward()
    state.optimiser.step()
    save_checkpoint(path, 'x', state, [])
    load_checkpoint(path, 'x', loaded)
    moment = loaded.optimiser.state[second.weight]['exp_avg']
    assert moment.stride() == second.weight.stride() == (36, 1, 12, 4)
    assert torch.equal(moment, state.optimiser.state[first.weight]['exp_avg'])
    assert torch.equal(first.weight, second.weight)


def test_the_time_limit_counts_the_time_of_earlier_runs(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now_s = 100.0

        def monotonic(self) -> float:
            return self.now_s

    clock = Clock()
    monkeypatch.setattr(loop, 'time', clock)
    model = nn.Linear(1, 1)
    steps = []

    def losses() -> dict[str, torch.Tensor]:
        clock.now_s += 1.0
        steps.append(1)
        return {'square': model.weight.square().sum()}

    for stop_after in (4, 10 ** 6):
        limited = options(tmp_path, steps=1000, stop_after=stop_after, minutes=0.5)
        try:
            fit('stage', model, losses, limited)
        except KeyboardInterrupt:
            assert len(steps) == 4
    assert len(steps) == 30
    *_, last = read_records(tmp_path / 'stage.jsonl')
    assert last.step == 30 and last.steps_per_s == 1.0 and last.time_s == 30
    # 29 s of 30 s, warmed up over 5 %: a cosine from 0.01 to zero
    assert last.learning_rate == pytest.approx(
        0.01 * 0.5 * (1 + math.cos(math.pi * (29 / 30 - 0.05) / 0.95)), rel=1e-3)


@pytest.mark.parametrize('precision, dtype', [
    ('auto', torch.bfloat16 if has_amx_instructions() else torch.float32),
    ('float32', torch.float32), ('bfloat16', torch.bfloat16)])
def test_precision(precision: str, dtype: torch.dtype) -> None:
    model = nn.Linear(1, 1)
    seen = []

    def losses() -> dict[str, torch.Tensor]:
        output = model(torch.ones(1, 1))
        seen.append(output.dtype)
        return {'square': output.square().mean()}

    fit('stage', model, losses, options(None, steps=1, precision=precision))
    assert seen == [dtype] and model.weight.dtype == torch.float32


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigurationError, match='float8.*auto, float32, bfloat16'):
        options(None, precision='float8')


def test_a_step_with_an_infinite_loss_changes_nothing(tmp_path: pathlib.Path) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    weights = []

    def losses() -> dict[str, torch.Tensor]:
        weights.append([value.detach().clone() for value in model.parameters()])
        images = torch.randn(4, 2) * (math.inf if len(weights) in (3, 4) else 1.0)
        # at the fifth the loss is infinite, while its gradients are not
        offset = math.inf if len(weights) == 5 else 0.0
        return {'good': torch.ones(()), 'square': model(images).square().sum() + offset}

    fit('stage', model, losses, options(tmp_path, steps=8))
    same = [all(torch.equal(a, b) for a, b in zip(one, other))
            for one, other in zip(weights, weights[1:])]
    assert same == [False, False, True, True, True, False, False]
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())
    [record] = read_records(tmp_path / 'stage.jsonl')
    assert record.skipped_steps == 3 and math.isfinite(record.losses['square'])


def test_a_training_that_diverges_ends_and_keeps_what_was_good(tmp_path: pathlib.Path) -> None:
    model = nn.Linear(1, 1)
    calls = []

    def losses(good: int = 7) -> dict[str, torch.Tensor]:
        calls.append(1)
        factor = 1.0 if len(calls) <= good else math.nan
        return {'fine': torch.ones(()), 'square': factor * model.weight.square().sum()}

    with pytest.raises(TrainingError) as caught:
        fit('stage', model, losses, options(tmp_path, steps=100, checkpoint_steps=5))
    path = tmp_path / 'stage.checkpoint.safetensors'
    assert len(calls) == 27 and described(path)['step'] == 5
    for words in ('stage: 20 steps in a row, up to step 27, had square infinite',
                  'lower --learning-rate (it was 0.01)', f'from step 5, kept in {path}'):
        assert words in str(caught.value)
    with pytest.raises(TrainingError, match='no checkpoint was written yet'):
        fit('stage', model, losses, options(None, steps=100))


def record(step: int, **losses: float) -> Record:
    return Record(step=step, time_s=step / 2, learning_rate=1e-3, steps_per_s=2.0,
                  skipped_steps=0, losses=losses)


def test_the_log_forgets_the_steps_that_come_again(tmp_path: pathlib.Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = StageLog(tmp_path, 'stage', step=0)
    for step in (20, 40, 60):
        first.write(record(step, square=step / 100))
    first.close()
    path = tmp_path / 'stage.jsonl'
    with open(path, 'a') as file:
        file.write('{"step": 80, "time')        # the process died while it wrote
    second = StageLog(tmp_path, 'stage', step=40)
    second.write(record(60, square=0.5, size=1.0))
    second.close()
    records = list(read_records(path))
    assert [(one.step, one.losses['square']) for one in records] == [
        (20, 0.2), (40, 0.4), (60, 0.5)]
    assert records[2].time_s == 30.0 and records[2].steps_per_s == 2.0
    assert json.loads(path.read_text().splitlines()[2])['size'] == 1.0
    events = EventAccumulator(str(tmp_path / 'tensorboard' / 'stage')).Reload()
    assert [(event.step, round(event.value, 5)) for event in events.Scalars('loss/square')] == [
        (20, 0.2), (40, 0.4), (60, 0.5)]
    assert events.Scalars('learning_rate')[0].value == pytest.approx(1e-3)


def test_without_tensorboard_it_says_so_once(tmp_path: pathlib.Path,
                                             monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    stage_log._say_without_tensorboard.cache_clear()
    for stage in ('network', 'propagation'):
        log = StageLog(tmp_path, stage, step=0)
        log.write(record(20, square=1.0))
        log.close()
    assert capsys.readouterr().err.count('pip install tensorboard') == 1
    assert len(list(tmp_path.glob('*.jsonl'))) == 2


def test_smoothing_is_the_mean_around_each_value() -> None:
    values = np.random.default_rng(0).random(100)
    values[[3, 50, 51, 52]] = np.nan
    values[70] = np.inf
    expected = []
    for index in range(100):
        around = [value for value in values[max(0, index - 2):index + 3] if np.isfinite(value)]
        expected.append(sum(around) / len(around))
    np.testing.assert_allclose(smoothed(values), expected, rtol=1e-12)
    assert list(smoothed(np.array([1.0, 5.0]))) == [1.0, 5.0]
    assert np.isnan(smoothed(np.array([np.nan])))


def test_the_curves_show_every_stage(tmp_path: pathlib.Path) -> None:
    plot_curves(tmp_path)
    assert not list(tmp_path.iterdir())             # nothing to show
    heights = []
    for stage in ('network', 'propagation'):
        log = StageLog(tmp_path, stage, step=0)
        log.write(record(20, square=1.0, size=math.nan))
        log.write(record(40, square=0.01))
        log.close()
        (tmp_path / 'other.jsonl').write_text('{"something": "else"}\n')
        plot_curves(tmp_path)
        picture = cv2.imread(str(tmp_path / 'curves.png'))
        assert picture is not None
        heights.append(picture.shape[0])
    assert heights[1] > 1.5 * heights[0]


def test_the_time_left_is_honest() -> None:
    recent = RecentSteps(3)
    for duration_s in (100.0, 0.5, 0.5, 0.5):       # the first is forgotten
        recent.add({'square': duration_s}, duration_s)
    recent.add(None, 0.5)
    assert recent.steps_per_s == 2.0 and recent.losses == {'square': 0.5}
    assert describe(step=0, steps=122, limit_left_s=math.inf, recent=recent, skipped_steps=0) == (
        'step 0/122, 01:01 left, 2.0 steps/s, square 0.500')
    for limit_left_s, words in ((3.0, '00:03 left'), (-1.0, '00:00 left'), (99.0, '00:05 left')):
        assert words in describe(step=0, steps=10, limit_left_s=limit_left_s, recent=recent,
                                 skipped_steps=0)
    assert describe(step=4, steps=9, limit_left_s=math.inf, recent=RecentSteps(1),
                    skipped_steps=2) == 'step 4/9, 2 skipped'
    assert describe(step=4, steps=9, limit_left_s=70, recent=RecentSteps(1),
                    skipped_steps=2) == 'step 4 of at most 9, 01:10 left, 2 skipped'


def double_batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
    return images, images.sum(1, keepdim=True)


def parts(seed: int) -> nn.ModuleList:
    torch.manual_seed(seed)
    return nn.ModuleList([nn.Linear(3, 4), nn.Linear(4, 1)])


def two_parts_fit(modules: nn.ModuleList, rows: slice, **more: object) -> list[int]:
    steps: list[int] = []

    def losses() -> dict[str, torch.Tensor]:
        steps.append(1)
        images, wanted = double_batch(len(steps))
        output = modules[1](torch.tanh(modules[0](images[rows])))
        return {'square': (output - wanted[rows]).square().mean()}

    fit('stage', modules, losses, options(steps=4, **more))  # type: ignore[arg-type]
    return steps


def worker(folder: pathlib.Path) -> None:
    """Train in one of two processes (see the test below)."""
    with distributed.process_group(CPU):
        rank = distributed.rank()
        modules = parts(seed=rank)          # rank 0's weights count
        rows = slice(4 * rank, 4 * rank + 4)
        two_parts_fit(modules, rows, folder=None)
        torch.save([modules.state_dict(), distributed.share_of(8)], folder / f'rank{rank}')

        # Only rank 1 is told to stop: both do, and go on with their own random numbers.
        drawn = []
        for stop_after in (2 if rank == 1 else 9, 9):
            model = nn.Linear(1, 1, bias=False)
            torch.manual_seed(100 + rank)

            def losses() -> dict[str, torch.Tensor]:
                drawn.append(float(torch.rand(())))
                return {'square': model.weight.square().sum() * drawn[-1]}

            try:
                fit('other', model, losses, options(folder, steps=4, stop_after=stop_after))
            except KeyboardInterrupt:
                assert len(drawn) == 2
        (folder / f'drawn{rank}.json').write_text(json.dumps(drawn))

        # Rank 0 alone measures; both take the weights that it finds best, and end together.
        model, scores = nn.Linear(1, 1, bias=False), [0.1, 0.5, 0.3, 0.2, 0.9]
        measured: list[float] = []

        def validate() -> Measured:
            measured.append(scores[len(measured)])
            return Measured('miou', {'miou': measured[-1]})

        fitted = fit('held_out', model, lambda: {'square': (model.weight - 3).square().sum()},
                     options(folder, steps=4),
                     validation=Validation(validate, every=1, patience=2))
        assert fitted.best is not None
        (folder / f'held_out{rank}.json').write_text(json.dumps(
            [measured, fitted.step, fitted.best.step, model.weight.item()]))


def test_two_processes_train_like_one_on_the_double_batch(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """Rank 0 is this process: to start a process takes most of the time."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    expected = parts(seed=0)
    two_parts_fit(expected, slice(0, 8), folder=None)
    for name, value in (('WORLD_SIZE', '2'), ('MASTER_ADDR', '127.0.0.1'),
                        ('MASTER_PORT', str(port)), ('RANK', '0'), ('LOCAL_RANK', '0')):
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)    # slow to import
    code = ('import pathlib, sys; sys.modules["torch.utils.tensorboard"] = None; '
            f'import test_training_loop as t; t.worker(pathlib.Path({str(tmp_path)!r}))')
    with subprocess.Popen(
            [sys.executable, '-c', code], cwd=pathlib.Path(__file__).parent,
            env={**os.environ, 'RANK': '1', 'LOCAL_RANK': '1', 'OMP_NUM_THREADS': '1'},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as other:
        try:
            worker(tmp_path)
            said = other.communicate(timeout=120)[0]
        finally:
            other.kill()
    assert other.returncode == 0, said
    assert 'goes on from step 2 of 4' in capsys.readouterr().out and 'other:' not in said
    first, second = (json.loads((tmp_path / f'held_out{rank}.json').read_text())
                     for rank in range(2))
    assert first[:3] == [[0.1, 0.5, 0.3, 0.2], 3, 1] and second[0] == []
    assert second[1:] == first[1:]
    for rank in range(2):
        found, share = torch.load(tmp_path / f'rank{rank}', weights_only=True)
        assert share == 4
        for name, value in expected.state_dict().items():
            torch.testing.assert_close(found[name], value)
        torch.manual_seed(100 + rank)
        assert json.loads((tmp_path / f'drawn{rank}.json').read_text()) == [
            float(torch.rand(())) for _ in range(4)]


def test_devices_of_processes_that_torchrun_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert distributed.local_device_name('cuda:3') == 'cuda:3'      # alone
    assert distributed.share_of(7) == 7
    monkeypatch.setenv('LOCAL_RANK', '1')
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert distributed.local_device_name('auto') == 'cuda:1'
    assert distributed.local_device_name('cpu') == 'cpu'
    with pytest.raises(ConfigurationError, match='leave --device away'):
        distributed.local_device_name('cuda:0')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    with pytest.raises(ConfigurationError, match='lower --nproc-per-node'):
        distributed.local_device_name('auto')
