# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The log of a stage: STAGE.jsonl, and event files for TensorBoard."""

import dataclasses
import datetime
import functools
import json
import pathlib
import sys
from typing import Any, Iterator, Mapping, Optional

from lvs_ros.staging import write_whole

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
            for name, value in record.losses.items():
                self._events.add_scalar(f'loss/{name}', value, record.step)
            for name in ('learning_rate', 'steps_per_s', 'skipped_steps'):
                self._events.add_scalar(name, getattr(record, name), record.step)
            self._events.flush()

    def close(self) -> None:
        if self._events is not None:
            self._events.close()


def _drop_after(path: pathlib.Path, step: int) -> None:
    if not path.is_file():
        return
    write_whole(path, ''.join(record.to_json() + '\n' for record in read_records(path)
                              if record.step <= step).encode())


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
