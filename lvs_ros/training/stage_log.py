# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The log of a stage: STAGE.jsonl, and event files for TensorBoard."""

import contextlib
import dataclasses
import datetime
import functools
import json
import math
import pathlib
import sys
from typing import Any, Iterator, Mapping, Optional, Union

from lvs_ros.staging import write_whole
from lvs_ros.training.best import Measured

TENSORBOARD_FOLDER = 'tensorboard'


@dataclasses.dataclass(frozen=True)
class Record:
    """One line of the log.

    :param step: steps done
    :param time_s: training time spent on them, over all runs
    :param learning_rate: of the last of them
    :param steps_per_s: of the recent ones
    :param skipped_steps: steps so far whose loss was not finite
    :param losses: by name, each the mean over the recent steps
    :param date: when it was written, UTC, ISO 8601
    """

    step: int
    time_s: float
    learning_rate: float
    steps_per_s: float
    skipped_steps: int
    losses: Mapping[str, float]
    date: str = dataclasses.field(default_factory=lambda: datetime.datetime.now(
        datetime.timezone.utc).isoformat(timespec='seconds'))

    def to_json(self) -> str:
        """Return one line, the losses beside the other values."""
        values = dataclasses.asdict(self)
        losses = values.pop('losses')
        return json.dumps({**values, **losses})

    @classmethod
    def from_json(cls, line: str) -> 'Record':
        """Read one line.

        :raises ValueError: when it is not one, or was cut short.
        """
        values = json.loads(line)
        names = [field.name for field in dataclasses.fields(cls) if field.name != 'losses']
        if not isinstance(values, dict) or any(name not in values for name in names):
            raise ValueError('not a record of a training')
        known = {name: values.pop(name) for name in names}
        return cls(**known, losses=values)


@dataclasses.dataclass(frozen=True)
class ValidationRecord:
    """A line of the log between the others: what was measured on the held-out part.

    :param step: steps done
    :param time_s: training time spent on them, over all runs
    :param measured: of the weights that would have come out then
    :param best_step: of the best so far
    :param date: as of :class:`Record`
    """

    step: int
    time_s: float
    measured: Measured
    best_step: int
    date: str = dataclasses.field(default_factory=lambda: datetime.datetime.now(
        datetime.timezone.utc).isoformat(timespec='seconds'))

    def to_json(self) -> str:
        """Return one line; what JSON has no number for is null."""
        measured = self.measured
        values = {f'val_{name}': value for name, value in measured.values.items()}
        return json.dumps({
            'step': self.step, 'time_s': self.time_s, 'best_step': self.best_step,
            **_with_null(values), 'val_iou': _with_null(measured.classes),
            'measure': f'val_{measured.measure}', 'falls': measured.falls, 'date': self.date})

    @classmethod
    def from_json(cls, line: str) -> 'ValidationRecord':
        """Read one line.

        :raises ValueError: when it is not one, or was cut short.
        """
        values = json.loads(line)
        try:
            classes = values.pop('val_iou')
            measured = Measured(
                values['measure'].removeprefix('val_'),
                _with_nan({name.removeprefix('val_'): value for name, value in values.items()
                           if name.startswith('val_')}), _with_nan(classes), values['falls'])
            return cls(values['step'], values['time_s'], measured, values['best_step'],
                       values['date'])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError('not a record of a validation') from error


def _with_null(values: Mapping[str, float]) -> dict[str, Optional[float]]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _with_nan(values: Mapping[str, Optional[float]]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in values.items()}


def read_validations(path: pathlib.Path) -> Iterator[ValidationRecord]:
    """Yield the validations of a log."""
    for line in path.read_text('utf-8').splitlines():
        with contextlib.suppress(ValueError):
            yield ValidationRecord.from_json(line)


def read_records(path: pathlib.Path) -> Iterator[Record]:
    """Yield the records of a log, apart from a line that the end of a process cut short."""
    for line in path.read_text('utf-8').splitlines():
        try:
            yield Record.from_json(line)
        except ValueError:
            continue


class StageLog:
    """Writes the records of a stage.

    :param folder: holds STAGE.jsonl and tensorboard/STAGE; None = nothing is written
    :param step: the step from which the stage goes on. Records of later steps, of a run that
        ended without a checkpoint, are dropped: these steps come again
    """

    def __init__(self, folder: Optional[pathlib.Path], stage: str, *, step: int) -> None:
        self._folder, self._stage, self._step = folder, stage, step
        self._events: Any = None
        self._is_open = False

    def write(self, record: Record) -> None:
        self._append(record, {
            **{f'loss/{name}': value for name, value in record.losses.items()},
            **{name: getattr(record, name)
               for name in ('learning_rate', 'steps_per_s', 'skipped_steps')}})

    def write_validation(self, record: ValidationRecord) -> None:
        measured = record.measured
        self._append(record, {
            **{f'val/{name}': value for name, value in measured.values.items()},
            **{f'val_iou/{name}': value for name, value in measured.classes.items()
               if math.isfinite(value)}, 'val/best_step': record.best_step})

    def _append(self, record: Union[Record, ValidationRecord], scalars: Mapping[str, float]
                ) -> None:
        if self._folder is None:
            return
        path = self._folder / f'{self._stage}.jsonl'
        if not self._is_open:
            self._is_open = True
            _drop_after(path, self._step)
            self._events = _event_writer(self._folder / TENSORBOARD_FOLDER / self._stage,
                                         self._step)
        with open(path, 'a', encoding='utf-8') as file:
            file.write(record.to_json() + '\n')
        if self._events is not None:
            for name, value in scalars.items():
                self._events.add_scalar(name, value, record.step)
            self._events.flush()

    def close(self) -> None:
        if self._events is not None:
            self._events.close()


def _drop_after(path: pathlib.Path, step: int) -> None:
    if not path.is_file():
        return
    kept: list[Union[Record, ValidationRecord]] = [
        record for read in (read_records, read_validations) for record in read(path)
        if record.step <= step and step]    # at step 0 all begins anew
    kept.sort(key=lambda record: (record.step, isinstance(record, ValidationRecord)))
    write_whole(path, ''.join(record.to_json() + '\n' for record in kept).encode())


def _event_writer(folder: pathlib.Path, step: int) -> Any:
    """Return a SummaryWriter, or None where TensorBoard is not installed."""
    try:
        # Seconds to import, and nothing needs it but a training.
        from torch.utils.tensorboard import SummaryWriter
    except Exception as error:  # beside ImportError: protobuf of another version raises TypeError
        _say_without_tensorboard(str(error).split('\n')[0])
        return None
    # TensorBoard, too, drops the records of steps that are repeated.
    return SummaryWriter(str(folder), purge_step=step + 1)


@functools.lru_cache(maxsize=None)
def _say_without_tensorboard(reason: str) -> None:
    """Say it once, not at every stage."""
    print(f'no files for TensorBoard are written ({reason}); for them: pip install tensorboard. '
          'The curves are in curves.png all the same.', file=sys.stderr)
