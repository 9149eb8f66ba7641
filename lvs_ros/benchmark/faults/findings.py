# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is recorded of each message, and what counts as a finding."""

from __future__ import annotations

import dataclasses
import random

from lvs_ros.benchmark.faults.compressed_images import CompressedFaults
from lvs_ros.benchmark.faults.messages import Expected, Fault
from lvs_ros.benchmark.faults.raw_images import RawFaults
from lvs_ros.benchmark.memory_growth import MemorySample

LONGEST_WAIT_S = 1.0
"""For any answer, or for a message to be decoded or refused."""
LONGEST_TEXT = 10_000
"""Characters of what a node or a decoder says of a message."""

FaultSource = RawFaults | CompressedFaults


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that must not happen.

    :param number: of the message; with the seed, it makes the same message again
    :param cdr: the message; empty where it is not known which it was
    """

    where: str
    number: int
    kind: str
    what: str
    cdr: bytes = b''

    def __str__(self) -> str:
        return f'{self.where}, message {self.number} ({self.kind}): {self.what}'


@dataclasses.dataclass
class Count:
    """The results of the messages of a kind.

    :param good: got a mask, or were decoded
    :param refused: were dropped as malformed
    :param longest_ms: for any of them: until it and the image behind it were answered, or
        processor time of its decoder
    :param peak_mib: memory that a decoder took for one of them for a while
    """

    good: int = 0
    refused: int = 0
    longest_ms: float = 0.0
    peak_mib: float = 0.0


@dataclasses.dataclass
class Run:
    """The results of messages.

    :param counts: by kind
    :param memory: of the process that got them
    """

    counts: dict[str, Count] = dataclasses.field(default_factory=dict)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    memory: list[MemorySample] = dataclasses.field(default_factory=list)

    def count(self, kind: str, *, is_good: bool, duration_s: float, peak_mib: float = 0.0) -> None:
        """Count a message, see :class:`Count`."""
        one = self.counts.setdefault(kind, Count())
        one.good += is_good
        one.refused += not is_good
        one.longest_ms = max(one.longest_ms, 1e3 * duration_s)
        one.peak_mib = max(one.peak_mib, peak_mib)

    def worst(self, measure: str) -> tuple[float, str]:
        """Return the largest value of a field of the counts, and the kind of the messages."""
        return max(((getattr(count, measure), kind) for kind, count in self.counts.items()),
                   default=(0.0, ''))


def numbered(source: FaultSource, seed: int, number: int, stamp_ns: int) -> Fault:
    """Make the message of a number: one of each kind, over and over."""
    return source.fault(random.Random(f'{seed} {source.topic} {number}'),
                        source.kinds[number % len(source.kinds)], stamp_ns)


def complaint(fault: Fault, size: tuple[int, int] | None) -> str | None:
    """Tell what is wrong with the result of a message.

    :param size: (width, height) of what came of it; None = it was refused
    """
    if fault.expected is Expected.NO_MASK and size is not None:
        return f'a mask of {size[0]}x{size[1]} came, and none was to come'
    if fault.expected is Expected.MASK and size != fault.size:
        found = 'none came' if size is None else f'one of {size[0]}x{size[1]} came'
        return f'a mask of {fault.size[0]}x{fault.size[1]} was to come, and {found}'
    return None
