# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Faulty messages through the decoders alone, in a process that may crash or hang."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import pathlib
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from lvs_ros.benchmark.faults import findings as limits
from lvs_ros.benchmark.faults.findings import (Count, FaultSource, Finding, complaint, numbered,
                                               sources)
from lvs_ros.benchmark.faults.messages import Fault
from lvs_ros.benchmark.memory_growth import MemorySample
from lvs_ros.benchmark.progress import progress
from lvs_ros.errors import ImageError, ros_needed

MOST_MEMORY_MIB = 256.0
"""That decoding or refusing a message may take for a while: its image has less than 0.1."""

_PARTS = 200
_GIVE_UP_S = 120.0    # for a part
_PEAK = re.compile(r'VmHWM:\s+(\d+) kB')
_RESIDENT = re.compile(r'VmRSS:\s+(\d+) kB')
_SENTINEL_EVERY = 50
_worker: list[Decoders] = []    # the one of this process


@dataclasses.dataclass
class DecoderRun:
    """The results of the messages.

    :param counts: by topic and kind
    :param longest_s: for one message, of processor time
    :param longest_kind: of fault
    :param peak_mib: memory that one message took for a while
    :param peak_kind: of fault
    :param memory: of the process
    """

    counts: dict[str, Count] = dataclasses.field(default_factory=dict)
    longest_s: float = 0.0
    longest_kind: str = ''
    peak_mib: float = 0.0
    peak_kind: str = ''
    findings: list[Finding] = dataclasses.field(default_factory=list)
    memory: list[MemorySample] = dataclasses.field(default_factory=list)

    def merge(self, other: DecoderRun) -> None:
        """Add what became of other messages."""
        for kind, count in other.counts.items():
            self.counts.setdefault(kind, Count()).merge(count)
        self.longest_s, self.longest_kind = max((self.longest_s, self.longest_kind),
                                                (other.longest_s, other.longest_kind))
        self.peak_mib, self.peak_kind = max((self.peak_mib, self.peak_kind),
                                            (other.peak_mib, other.peak_kind))
        self.findings += other.findings
        self.memory += other.memory


def probe_decoders(picture: np.ndarray, *, seed: int, decodes: int) -> DecoderRun:
    """Give messages to the decoders.

    :param picture: (H, W, 3) uint8 RGB, of which the messages are made
    :param decodes: how many
    :raises ConfigurationError: without ROS 2
    """
    total = DecoderRun()
    if not decodes:
        return total
    part = max(1, -(-decodes // _PARTS))
    context = multiprocessing.get_context('spawn')
    with context.Pool(1, _start, (picture, seed, limits.LONGEST_WAIT_S)) as pool, \
            progress('decoding messages', decodes) as update:
        for start in range(0, decodes, part):
            numbers = range(start, min(start + part, decodes))
            try:
                total.merge(pool.apply_async(_decode, (numbers,)).get(_GIVE_UP_S))
            except multiprocessing.TimeoutError:
                total.findings.append(Finding(
                    'decoders', start, 'one of the next', f'{len(numbers)} messages were not '
                    f'decoded within {_GIVE_UP_S:g} s: the process has crashed, or hangs'))
                break
            for _ in numbers:
                update()
    return total


def _start(picture: np.ndarray, seed: int, longest_s: float) -> None:
    """Set the process up that decodes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # the parent ends it
    # The libraries write a line for nearly every picture.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _worker.append(Decoders(picture, seed, longest_s=longest_s))


def _decode(numbers: range) -> DecoderRun:
    return _worker[0].decode(numbers)


class Decoders:
    """Decodes messages, and looks at what comes of them.

    :param picture: (H, W, 3) uint8 RGB
    :param longest_s: that a message may take, of processor time
    """

    def __init__(self, picture: np.ndarray, seed: int, *,
                 longest_s: float = limits.LONGEST_WAIT_S) -> None:
        with ros_needed('the soak'):
            from lvs_ros.node.serialized_images import read_compressed_image, read_image
        self._seed, self._picture, self._longest_s = seed, picture, longest_s
        raw, compressed = sources(picture)
        self._ways: tuple[tuple[FaultSource, Callable[[bytes], Any]], ...] = (
            (raw, read_image), (compressed, read_compressed_image))

    def decode(self, numbers: range) -> DecoderRun:
        """Decode the messages of these numbers."""
        run = DecoderRun()
        for number in numbers:
            source, read = self._ways[number % len(self._ways)]
            fault = numbered(source, self._seed, number // len(self._ways), time.time_ns())
            for what in self._decode_one(fault, read, run, source.topic):
                run.findings.append(Finding(f'decoder of {source.topic}', number, fault.kind, what,
                                            fault.cdr))
            if number % _SENTINEL_EVERY < len(self._ways):
                self._look_at_a_good_one(source, read, number, run)
        run.memory.append(MemorySample(numbers[-1] + 1, _memory_mib(_RESIDENT)))
        return run

    def _decode_one(self, fault: Fault, read: Callable[[bytes], Any], run: DecoderRun,
                    topic: str) -> list[str]:
        size, found = None, []
        pathlib.Path('/proc/self/clear_refs').write_text('5', encoding='ascii')    # reset the peak
        before_mib, start_s = _memory_mib(_RESIDENT), time.process_time()
        try:
            frame = read(fault.cdr).frame
            frame.check()
            frame.image.max()    # every byte of it can be read
            size = frame.size
        except ImageError as error:
            if len(str(error)) > limits.LONGEST_TEXT:
                found.append(f'refused with a text of {len(str(error))} characters')
        except Exception as error:
            found.append(f'{type(error).__name__}: {error}'[:500])
        duration_s = time.process_time() - start_s
        peak_mib = _memory_mib(_PEAK) - before_mib
        kind = f'{topic}: {fault.kind}'
        run.counts.setdefault(kind, Count()).add(is_good=size is not None, duration_s=duration_s)
        run.merge(DecoderRun(longest_s=duration_s, longest_kind=kind, peak_mib=peak_mib,
                             peak_kind=kind))
        if duration_s > self._longest_s:
            found.append(f'took {duration_s:.1f} s')
        if peak_mib > MOST_MEMORY_MIB:
            found.append(f'took {peak_mib:.0f} MiB')
        wrong = complaint(fault, size)
        return [*found, wrong] if wrong is not None else found

    def _look_at_a_good_one(self, source: FaultSource, read: Callable[[bytes], Any], number: int,
                            run: DecoderRun) -> None:
        frame = read(source.sentinel(0)).frame
        image = frame.image if frame.order == 'rgb' else frame.image[..., ::-1]
        if not np.array_equal(image, self._picture):
            run.findings.append(Finding(f'decoder of {source.topic}', number,
                                        'image without fault', 'became another one'))


def _memory_mib(pattern: re.Pattern[str]) -> float:
    found = pattern.search(pathlib.Path('/proc/self/status').read_text(encoding='ascii'))
    return int(found[1]) / 1024 if found else 0.0
