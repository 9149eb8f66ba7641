# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Faulty messages through real nodes, each followed by an image that must get its mask.

The image behind a message tells, by its status, what became of the message before it, so that
none is lost without being noticed. In between, the node is reset before it: then its mask
must always be the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lvs_ros.benchmark.dds_camera import local_environment
from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.benchmark.faults import findings as limits
from lvs_ros.benchmark.faults.findings import (Count, FaultSource, Finding, complaint, numbered)
from lvs_ros.benchmark.faults.messages import Fault
from lvs_ros.benchmark.memory_growth import MemorySample
from lvs_ros.benchmark.progress import progress
from lvs_ros.errors import ros_needed
from lvs_ros.options import PipelineOptions

if TYPE_CHECKING:
    from lvs_ros.tool_nodes.fault_probe import FaultProbe, Mask, Target
    from lvs_ros.tool_nodes.processes import NodeProcess

_START_S, _GIVE_UP_S, _DIAGNOSTICS_S, _SETTLE_S = 600.0, 30.0, 5.0, 0.5
_RESET_EVERY = 20
_SAMPLES = 400
_MEBIBYTE = 1 << 20
_MOST_FINDINGS = 1000


@dataclasses.dataclass(frozen=True)
class NodeRun:
    """The results of the messages to a node.

    :param topic: on which they came
    :param counts: by kind
    :param failed: messages that ended in an unexpected error
    :param sentinels: images after a reset
    :param longest_wait_s: until a message and the image behind it were answered, or a reset
    :param longest_wait_kind: of fault
    :param memory: of the node's process
    """

    topic: str
    counts: dict[str, Count]
    failed: int
    sentinels: int
    longest_wait_s: float
    longest_wait_kind: str
    findings: tuple[Finding, ...]
    memory: tuple[MemorySample, ...]


class _Ended(Exception):
    """The node answers no more."""


def probe_nodes(options: PipelineOptions, sources: tuple[FaultSource, ...], *, seed: int,
                messages: int, size: tuple[int, int], domain_id: int | None) -> list[NodeRun]:
    """Send messages to a node for each source.

    :param options: the nodes' parameters
    :param messages: to all of them together
    :param size: (width, height) of the images that are good
    :param domain_id: the ROS domain; None = one without other nodes
    :raises ConfigurationError: without ROS 2
    :raises BenchmarkError: when a node does not start
    """
    with ros_needed('the soak'):
        from lvs_ros.tool_nodes.fault_probe import FaultProbe, reliable_parameters
        from lvs_ros.tool_nodes.processes import start_segmentation_node
    with contextlib.ExitStack() as stack:
        stack.enter_context(local_environment())
        probe = stack.enter_context(FaultProbe.in_free_domain() if domain_id is None
                                    else FaultProbe(domain_id=domain_id))
        runs = []
        for number, source in enumerate(sources):
            transport = 'compressed' if source.topic.endswith('compressed') else 'raw'
            name = f'lvs_{transport}'
            process = stack.enter_context(start_segmentation_node(
                options, size=size, domain_id=probe.domain_id, name=name,
                input_transport=transport, diagnostics_period_s=0.2,
                **reliable_parameters(name, source.topic)))
            count = messages // len(sources) + (number < messages % len(sources))
            runs.append(_Run(probe, probe.add_target(name, source.topic), process, source,
                             seed=seed, messages=count))
        with progress('waiting for the nodes', len(runs)) as update:
            for run in runs:
                run.wait_for_node()
                update()
        with progress('sending messages', messages) as update:
            return [run.run(update) for run in runs]


class _Run:
    """Messages to one node."""

    def __init__(self, probe: FaultProbe, target: Target, process: NodeProcess,
                 source: FaultSource, *, seed: int, messages: int) -> None:
        self._probe, self._target, self._process = probe, target, process
        self._source, self._seed, self._messages = source, seed, messages
        self._counts = {kind: Count() for kind in source.kinds}
        self._findings: list[Finding] = []
        self._memory: list[MemorySample] = []
        self._received = self._dropped = self._sentinels = 0
        self._longest = 0.0, ''
        self._usual: Mask | None = None
        self._is_ready = False

    def wait_for_node(self) -> None:
        """Return once it has answered for the first time."""
        if not self._until(lambda: self._target.is_connected, _START_S):
            raise self._failure('was not ready in time')
        # Discovery is not symmetric: what is sent before both sides match may get lost.
        self._probe.spin(_SETTLE_S)
        if self._ask(_START_S) is None:
            raise self._failure('did not answer an image')
        self._is_ready = True

    def run(self, update: Callable[[], object]) -> NodeRun:
        sampled = max(1, self._messages // _SAMPLES)
        for number in range(self._messages):
            fault = numbered(self._source, self._seed, number, time.time_ns())
            try:
                with self._noting(number, fault):
                    self._send(fault)
                    if number % _RESET_EVERY == 0:
                        self._look_at_the_usual_mask()
            except _Ended:
                break
            if number % sampled == 0 or number == self._messages - 1:
                self._memory.append(MemorySample(
                    number + 1, self._process.memory_bytes() / _MEBIBYTE))
            update()
        failed = self._look_at_texts()
        return NodeRun(topic=self._source.topic, counts=self._counts, failed=failed,
                       sentinels=self._sentinels, longest_wait_s=self._longest[0],
                       longest_wait_kind=self._longest[1],
                       findings=tuple(self._findings), memory=tuple(self._memory))

    @contextlib.contextmanager
    def _noting(self, number: int, fault: Fault) -> Iterator[None]:
        """Turn what a message leads to into a finding."""
        start = len(self._findings)
        try:
            yield
        finally:
            self._findings[start:] = [
                dataclasses.replace(one, number=number, kind=fault.kind, cdr=fault.cdr)
                for one in self._findings[start:]]

    def _send(self, fault: Fault) -> None:
        target, start_s = self._target, time.monotonic()
        target.forget()
        target.send(fault.cdr)
        status = self._ask(_GIVE_UP_S)
        duration_s = time.monotonic() - start_s
        if status is None:
            self._find(f'the next image got no mask within {_GIVE_UP_S:g} s')
            raise _Ended
        self._note_wait(duration_s, fault.kind)
        stamp_ns, received, dropped = status
        masks = [mask for mask in target.masks if mask.stamp_ns != stamp_ns]
        self._counts[fault.kind].add(is_good=bool(masks), duration_s=duration_s)
        if received != 2 or dropped + len(masks) != 1:
            self._find(f'of it and the next image, {received} were received and {dropped} '
                       f'dropped, and it got {len(masks)} masks')
        wrong = complaint(fault, masks[0].size if masks else None)
        if wrong is not None:
            self._find(wrong)

    def _look_at_the_usual_mask(self) -> None:
        start_s = time.monotonic()
        response = self._target.reset()
        if not self._until(response.done, _GIVE_UP_S) or not response.result().success:
            self._find('~/reset does not answer, or refuses')
            raise _Ended
        self._target.forget()
        status = self._ask(_GIVE_UP_S)
        if status is None:
            self._find(f'no mask within {_GIVE_UP_S:g} s of a reset')
            raise _Ended
        self._note_wait(time.monotonic() - start_s, '~/reset')
        mask = self._target.answer_to(status[0])
        self._sentinels += 1
        if self._usual is None:
            self._usual = mask
        assert mask is not None and self._usual is not None
        if mask.digest != self._usual.digest:
            self._find('after a reset, an image that is always the same got another mask')

    def _ask(self, timeout_s: float) -> tuple[int, int, int] | None:
        """Send the image whose mask is known, and wait for the mask.

        :returns: its stamp, and how many messages the node has received and dropped since the
            last one
        """
        target, stamp_ns = self._target, time.time_ns()
        target.send(self._source.sentinel(stamp_ns))
        if not self._until(lambda: target.answer_to(stamp_ns) is not None, timeout_s):
            return None
        status = target.statuses[stamp_ns]
        received = status.frames_received - self._received
        dropped = status.frames_dropped - self._dropped
        self._received, self._dropped = status.frames_received, status.frames_dropped
        return stamp_ns, received, dropped

    def _look_at_texts(self) -> int:
        """Look at diagnostics and log; return how many messages failed."""
        target, counts = self._target, self._target.diagnostics
        if self._process.exit_code is None:
            self._probe.spin_until(
                lambda: target.diagnostics.get('frames received') == str(self._received),
                _DIAGNOSTICS_S)
            counts = target.diagnostics
        failed = int(counts.get('frames failed', 0))
        if failed:
            self._find(f'{failed} messages ended in an unexpected error; the last lines of the '
                       f'log: {self._process.last_output()[-2000:]}')
        for length, where in ((target.longest_diagnosis, '/diagnostics'),
                              (self._process.longest_line(), 'the log')):
            if length > limits.LONGEST_TEXT:
                self._find(f'a text of {length} characters on {where}')
        return failed

    def _note_wait(self, duration_s: float, kind: str) -> None:
        self._longest = max(self._longest, (duration_s, kind))
        if duration_s > limits.LONGEST_WAIT_S:
            self._find(f'{duration_s:.1f} s until it was answered')

    def _until(self, is_done: Callable[[], bool], timeout_s: float) -> bool:
        return self._probe.spin_until(lambda: is_done() or self._has_ended(), timeout_s)

    def _has_ended(self) -> bool:
        if self._process.exit_code is None:
            return False
        if not self._is_ready:
            raise self._failure(f'ended with exit code {self._process.exit_code}')
        self._find(f'the node ended with exit code {self._process.exit_code}: '
                   f'{self._process.last_output()[-2000:]}')
        raise _Ended

    def _find(self, what: str) -> None:
        if len(self._findings) < _MOST_FINDINGS:
            self._findings.append(Finding(self._source.topic, -1, 'in the end', what))

    def _failure(self, what: str) -> BenchmarkError:
        return BenchmarkError(f'{self._process.name} {what}. Its last output:\n'
                              f'{self._process.last_output()}')
