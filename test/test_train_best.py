# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The best weights come out: by the held-out part, over interruptions, with patience."""

import json
import math
import pathlib
from typing import Callable, Optional, Sequence

import cv2
import pytest
import torch
from torch import nn

from lvs_ros.training.best import Best, Measured
from lvs_ros.training.curves import plot_curves
from lvs_ros.training.loop import Fitted, LoopOptions, fit
from lvs_ros.training.progress_display import LaterStage, RecentSteps, describe
from lvs_ros.training.selection import Validation
from lvs_ros.training.stage_log import (Record, StageLog, ValidationRecord, read_records,
                                        read_validations)

pytestmark = pytest.mark.usefixtures('one_thread', 'no_curves')


def measured(value: float, **classes: float) -> Measured:
    return Measured('miou', {'miou': value, 'square': 1 - value}, classes)


class Run:
    """A training whose held-out mIoU at each validation is stated.

    :ivar seen: the weight at each validation
    """

    def __init__(self, folder: Optional[pathlib.Path], scores: Sequence[float], *,
                 steps: int = 6, stop_after: int = 10 ** 6, every: Optional[int] = 1,
                 patience: int = 0, on_best: Callable[[Best], None] = lambda _best: None
                 ) -> None:
        torch.manual_seed(1)
        self._linear = nn.Linear(1, 1, bias=False)
        self.model = nn.Sequential(self._linear, nn.Dropout(0.5))
        self.seen: list[float] = []
        self.modes: list[bool] = []
        self._scores = list(scores)
        looks = iter(range(10 ** 6))
        self._options = LoopOptions(
            steps=steps, batch_size=1, learning_rate=0.05, folder=folder,
            should_stop=lambda: next(looks) >= stop_after)
        self._validation = Validation(self.validate, every, patience, on_best)

    @property
    def weight(self) -> float:
        return self._linear.weight.item()

    def losses(self) -> dict[str, torch.Tensor]:
        return {'square': (self.model(torch.ones(4, 1)) - 9).square().mean()}

    def validate(self) -> Measured:
        self.seen.append(self.weight)
        self.modes.append(self.model.training)
        return measured(self._scores[len(self.seen) - 1])

    def fit(self, *, validates: bool = True) -> Fitted:
        return fit('stage', self.model, self.losses, self._options,
                   validation=self._validation if validates else None)


def test_the_best_weights_come_out_and_the_last_are_kept(tmp_path: pathlib.Path,
                                                         capsys: pytest.CaptureFixture[str]
                                                         ) -> None:
    run = Run(tmp_path, [0.1, 0.3, 0.7, 0.7, 0.2, 0.4, 0.6])    # of equals the first
    fitted = run.fit()
    assert fitted.best is not None and fitted.best.step == 2 and fitted.step == 6
    assert run.weight == run.seen[2] != run.seen[-1]
    assert fitted.last is not None and float(fitted.last['0.weight']) == run.seen[-1]
    assert run.modes == [False] * 7
    said = capsys.readouterr().out
    assert 'step 2, held out: mIoU 70.0 %' in said and '(best: mIoU 70.0 % at step 2)' in said
    lines = [json.loads(line) for line in (tmp_path / 'stage.jsonl').read_text().splitlines()]
    assert [(one['step'], one['val_miou'], one['best_step']) for one in lines
            if 'val_miou' in one] == [(0, 0.1, 0), (1, 0.3, 1), (2, 0.7, 2), (3, 0.7, 2),
                                      (4, 0.2, 2), (5, 0.4, 2), (6, 0.6, 2)]


def test_measuring_changes_nothing_of_the_training() -> None:
    with_it, without = Run(None, [0.5] * 7), Run(None, [])
    fitted = with_it.fit()
    assert without.fit(validates=False) == Fitted(6)
    assert fitted.last is not None and float(fitted.last['0.weight']) == without.weight


def test_less_of_an_error_is_better() -> None:
    best = Best()
    for step, value in enumerate((0.5, 0.2, math.nan, 0.3)):
        best.offer(Measured('deviation_error', {'deviation_error': value}, falls=True), step,
                   {'weight': torch.tensor(float(step))})
    assert best.step == 1 and best.since == 2 and best.weights['weight'] == 1


def test_of_equal_measures_the_smaller_loss_is_better() -> None:
    best = Best()
    for step, loss in enumerate((2.0, 1.0, 1.5)):
        best.offer(Measured('miou', {'miou': 0.0, 'cross_entropy': loss}), step,
                   {'weight': torch.zeros(())})
    assert best.step == 1


def test_what_is_not_a_number_is_never_the_best(tmp_path: pathlib.Path) -> None:
    run = Run(tmp_path, [math.nan, 0.1, math.nan, math.nan, math.nan, math.nan, math.nan])
    fitted = run.fit()
    assert fitted.best is not None and fitted.best.step == 1
    assert all(math.isnan(one.measured.value)
               for one in read_validations(tmp_path / 'stage.jsonl') if one.step > 1)


def test_patience_ends_a_stage(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = [0.1, 0.5, 0.4, 0.3, 0.9, 0.9, 0.9]
    fitted = Run(tmp_path, scores, patience=2).fit()
    assert fitted.step == 3 and fitted.best is not None and fitted.best.step == 1
    assert 'no better model in 2 validations (--patience): the stage ends at step 3' \
        in capsys.readouterr().out
    again = Run(tmp_path, scores, patience=2)    # has ended, and stays so
    assert again.fit().step == 3 and not again.seen
    more = Run(tmp_path, scores[4:], patience=3)    # goes on where it was
    assert more.fit().step == 6 and more.weight == more.seen[0]


def test_an_interrupted_stage_remembers_the_best_and_its_patience(tmp_path: pathlib.Path) -> None:
    scores = [0.1, 0.5, 0.4, 0.3, 0.2, 0.9, 0.9]
    whole = Run(None, scores, patience=3)
    assert whole.fit().step == 4
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, scores, patience=3, stop_after=3).fit()
    rest = Run(tmp_path, scores[4:], patience=3)
    fitted = rest.fit()
    assert fitted.step == 4 and len(rest.seen) == 1
    assert rest.weight == whole.weight == whole.seen[1]
    assert [one.step for one in read_validations(tmp_path / 'stage.jsonl')] == [0, 1, 2, 3, 4]


def test_the_best_weights_are_there_when_they_are_told() -> None:
    told: list[tuple[int, float]] = []

    def note(best: Best) -> None:
        told.append((best.step, run.weight))

    run: Run = Run(None, [0.2, 0.1, 0.3, 0.4, 0.1, 0.1, 0.1], on_best=note)
    run.fit()
    assert told == [(0, run.seen[0]), (2, run.seen[2]), (3, run.seen[3])]


def test_by_default_it_measures_at_the_start_and_at_the_end() -> None:
    run = Run(None, [0.5] * 99, steps=60, every=None)
    fitted = run.fit()
    assert 2 <= len(run.seen) <= 21
    assert fitted.last is not None and run.seen[-1] == float(fitted.last['0.weight'])


def test_the_log_of_validations(tmp_path: pathlib.Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = StageLog(tmp_path, 'stage', step=0)
    for step, value in ((0, 0.25), (20, 0.5), (40, 0.75)):
        if step:
            log.write(Record(step, step / 2, 1e-3, 2.0, 0, {'square': 0.5}))
        log.write_validation(ValidationRecord(
            step, step / 2, measured(value, road=value, car=math.nan), step))
    log.close()
    path = tmp_path / 'stage.jsonl'
    found = list(read_validations(path))
    assert [one.measured.value for one in found] == [0.25, 0.5, 0.75]
    assert found[1].measured.classes['road'] == 0.5
    assert math.isnan(found[1].measured.classes['car'])
    assert len(list(read_records(path))) == 2 and 'NaN' not in path.read_text()
    events = EventAccumulator(str(tmp_path / 'tensorboard' / 'stage')).Reload()
    for tag in ('val/miou', 'val_iou/road'):
        assert [(one.step, one.value) for one in events.Scalars(tag)] == [
            (0, 0.25), (20, 0.5), (40, 0.75)]
    plot_curves(tmp_path)
    picture = cv2.imread(str(tmp_path / 'curves.png'))
    assert picture is not None and picture.shape[1] > 3 * picture.shape[0]    # losses and mIoU
    StageLog(tmp_path, 'stage', step=20).write(Record(40, 20.0, 1e-3, 2.0, 0, {'square': 0.5}))
    assert [one.step for one in read_validations(path)] == [0, 20]


def test_the_time_left_of_all_stages() -> None:
    recent = RecentSteps(1)
    recent.add({'square': 1.0}, 0.5)
    best = Best()
    best.offer(measured(0.4), 30, {'weight': torch.zeros(())})

    def text(overhead_s: float, *later: LaterStage) -> str:
        return describe(step=40, steps=100, limit_left_s=math.inf, recent=recent, skipped_steps=0,
                        overhead_s=overhead_s, later=later, best=best)

    # 60 steps of half a second; then 100 of a quarter of one, and at most 10 s
    assert '00:30 left, about 01:05 for all stages, 2.0 steps/s' in text(
        0.0, LaterStage(100, math.inf, 0.5), LaterStage(10 ** 6, 10.0, 1.0))
    assert '01:00 left, 2.0 steps/s' in text(0.5)
    assert 'held out: best mIoU 40.0 % at step 30' in text(0.0)
