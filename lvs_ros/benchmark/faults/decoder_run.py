# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Faulty messages through the decoders alone, in a process that may crash or hang."""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from lvs_ros.benchmark.faults import findings as limits
from lvs_ros.benchmark.faults.compressed_images import CompressedFaults
from lvs_ros.benchmark.faults.findings import FaultSource, Finding, Run, complaint, numbered
from lvs_ros.benchmark.faults.messages import Fault
from lvs_ros.benchmark.faults.raw_images import RawFaults
from lvs_ros.benchmark.memory_growth import MemorySample
from lvs_ros.benchmark.progress import progress
from lvs_ros.errors import ImageError, ros_needed

MOST_MEMORY_MIB = 256.0
"""That decoding or refusing a message may take for a while: its image has less than 0.1."""

_PARTS = 200
_GIVE_UP_S = 120.0    # for a part
_SENTINEL_EVERY = 50
_worker: list[Decoders] = []    # the one of this process


def probe_decoders(picture: np.ndarray, *, seed: int, decodes: int) -> Run:
    """Give messages to the decoders.

    :param picture: (H, W, 3) uint8 RGB, of which the messages are made
    :param decodes: how many
    :raises ConfigurationError: without ROS 2
    """
    run = Run()
    part = -(-decodes // _PARTS)
    context = multiprocessing.get_context('spawn')
    with context.Pool(1, _start, (picture, seed, limits.LONGEST_WAIT_S)) as pool, \
            progress('decoding messages', decodes) as update:
        for start in range(0, decodes, part):
            numbers = range(start, min(start + part, decodes))
            try:
                run = pool.apply_async(_decode, (numbers,)).get(_GIVE_UP_S)
            except multiprocessing.TimeoutError:
                run.findings.append(Finding(
                    'decoders', start, 'one of the next', f'{len(numbers)} messages were not '
                    f'decoded within {_GIVE_UP_S:g} s: the process has crashed, or hangs'))
                break
            for _ in numbers:
                update()
    return run


def _start(picture: np.ndarray, seed: int, longest_s: float) -> None:
    """Set the process up that decodes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # the parent ends it
    # The libraries write a line for nearly every picture.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _worker.append(Decoders(picture, seed, longest_s=longest_s))


def _decode(numbers: range) -> Run:
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
        self._ways: tuple[tuple[FaultSource, Callable[[bytes], Any]], ...] = (
            (RawFaults(picture), read_image), (CompressedFaults(picture), read_compressed_image))
        self._run = Run()

    def decode(self, numbers: range) -> Run:
        """Decode the messages of these numbers; return the results of all so far."""
        for number in numbers:
            source, read = self._ways[number % len(self._ways)]
            fault = numbered(source, self._seed, number // len(self._ways), time.time_ns())
            self._run.findings += [
                Finding(f'decoder of {source.topic}', number, fault.kind, what, fault.cdr)
                for what in self._decode_one(fault, read, source.topic)]
            if number % _SENTINEL_EVERY < len(self._ways):
                self._look_at_a_good_one(source, read, number)
        self._run.memory.append(MemorySample(numbers[-1] + 1, _memory_mib('VmRSS')))
        return self._run

    def _decode_one(self, fault: Fault, read: Callable[[bytes], Any], topic: str) -> list[str]:
        size, found = None, []
        pathlib.Path('/proc/self/clear_refs').write_text('5', encoding='ascii')    # reset the peak
        before_mib, start_s = _memory_mib('VmRSS'), time.process_time()
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
        peak_mib = _memory_mib('VmHWM') - before_mib
        self._run.count(f'{topic}: {fault.kind}', is_good=size is not None,
                        duration_s=duration_s, peak_mib=peak_mib)
        if duration_s > self._longest_s:
            found.append(f'took {duration_s:.1f} s')
        if peak_mib > MOST_MEMORY_MIB:
            found.append(f'took {peak_mib:.0f} MiB')
        wrong = complaint(fault, size)
        return [*found, wrong] if wrong is not None else found

    def _look_at_a_good_one(self, source: FaultSource, read: Callable[[bytes], Any],
                            number: int) -> None:
        frame = read(source.sentinel(0)).frame
        image = frame.image if frame.order == 'rgb' else frame.image[..., ::-1]
        if not np.array_equal(image, self._picture):
            self._run.findings.append(Finding(f'decoder of {source.topic}', number,
                                              'image without fault', 'became another one'))


def _memory_mib(field: str) -> float:
    status = pathlib.Path('/proc/self/status').read_text(encoding='ascii')
    return int(status.partition(f'{field}:')[2].split()[0]) / 1024    # of kB
