# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Faulty messages through real nodes, each followed by an image that must get its mask.

The image behind a message tells, by its status, how the message before it was handled, so that
none is lost without being noticed. In between, the node is reset before it: then its mask
must always be the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lvs_ros.benchmark.dds_camera import check_alive, failure, local_environment
from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.benchmark.faults import findings as limits
from lvs_ros.benchmark.faults.compressed_images import CompressedFaults
from lvs_ros.benchmark.faults.findings import FaultSource, Finding, Run, complaint, numbered
from lvs_ros.benchmark.faults.messages import Expected, Fault
from lvs_ros.benchmark.faults.raw_images import RawFaults
from lvs_ros.benchmark.memory_growth import MemorySample
from lvs_ros.benchmark.progress import progress
from lvs_ros.benchmark.rows import share
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
_NO_FAULT = Fault('in the end', b'', Expected.ANY)


@dataclasses.dataclass
class NodeRun(Run):
    """The results of the messages to a node.

    :param topic: on which they came
    :param failed: messages that ended in an unexpected error
    :param sentinels: images after a reset
    """

    topic: str = ''
    failed: int = 0
    sentinels: int = 0


def probe_nodes(options: PipelineOptions, picture: np.ndarray, *, seed: int, messages: int,
                domain_id: int | None) -> list[NodeRun]:
    """Send messages to a node of each topic.

    :param options: the nodes' parameters
    :param picture: (H, W, 3) uint8 RGB, of which the messages are made
    :param messages: to all of them together
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
        sources: dict[str, FaultSource] = {'raw': RawFaults(picture),
                                           'compressed': CompressedFaults(picture)}
        for number, (transport, source) in enumerate(sources.items()):
            name = f'lvs_{transport}'
            process = stack.enter_context(start_segmentation_node(
                options, size=picture.shape[1::-1], domain_id=probe.domain_id, name=name,
                input_transport=transport, diagnostics_period_s=0.2,
                **reliable_parameters(name, source.topic)))
            runs.append(_Run(probe, probe.add_target(name, source.topic), process, source,
                             seed=seed, messages=share(messages, number, len(sources))))
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
        self._result = NodeRun(topic=source.topic)
        self._fault = _NO_FAULT    # the message that findings are about, and its number
        self._number = -1
        self._received = self._dropped = 0
        self._usual: Mask | None = None

    def wait_for_node(self) -> None:
        """Return once it has answered for the first time."""
        if not self._until(lambda: self._target.is_connected, _START_S):
            raise failure(self._process, 'was not ready in time')
        # Discovery is not symmetric: what is sent before both sides match may get lost.
        self._probe.spin(_SETTLE_S)
        self._ask(_START_S)

    def run(self, update: Callable[[], object]) -> NodeRun:
        sampled = max(1, self._messages // _SAMPLES)
        for number in range(self._messages):
            self._fault = numbered(self._source, self._seed, number, time.time_ns())
            self._number = number
            try:
                self._send(self._fault)
                if number % _RESET_EVERY == 0:
                    self._look_at_the_usual_mask()
            except BenchmarkError as error:
                self._find(str(error))
                break
            if number % sampled == 0 or number == self._messages - 1:
                self._result.memory.append(MemorySample(
                    number + 1, self._process.memory_bytes() / _MEBIBYTE))
            update()
        self._fault, self._number = _NO_FAULT, -1
        self._look_at_texts()
        return self._result

    def _send(self, fault: Fault) -> None:
        target, start_s = self._target, time.monotonic()
        target.forget()
        target.send(fault.cdr)
        stamp_ns, received, dropped = self._ask(_GIVE_UP_S)
        duration_s = time.monotonic() - start_s
        self._check_wait(duration_s)
        masks = [mask for mask in target.masks if mask.stamp_ns != stamp_ns]
        self._result.count(fault.kind, is_good=bool(masks), duration_s=duration_s)
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
            raise failure(self._process, 'does not answer ~/reset, or refuses')
        self._target.forget()
        stamp_ns, _, _ = self._ask(_GIVE_UP_S)
        self._check_wait(time.monotonic() - start_s)
        mask = self._target.answer_to(stamp_ns)
        self._result.sentinels += 1
        if self._usual is None:
            self._usual = mask
        assert mask is not None and self._usual is not None
        if mask.digest != self._usual.digest:
            self._find('after a reset, an image that is always the same got another mask')

    def _ask(self, timeout_s: float) -> tuple[int, int, int]:
        """Send the image whose mask is known, and wait for the mask.

        :returns: its stamp, and how many messages the node has received and dropped since the
            last one
        :raises BenchmarkError: when none comes
        """
        target, stamp_ns = self._target, time.time_ns()
        target.send(self._source.sentinel(stamp_ns))
        if not self._until(lambda: target.answer_to(stamp_ns) is not None, timeout_s):
            raise failure(self._process, f'did not answer an image within {timeout_s:g} s')
        status = target.statuses[stamp_ns]
        received = status.frames_received - self._received
        dropped = status.frames_dropped - self._dropped
        self._received, self._dropped = status.frames_received, status.frames_dropped
        return stamp_ns, received, dropped

    def _look_at_texts(self) -> None:
        """Look at diagnostics and log."""
        target, counts = self._target, self._target.diagnostics
        if self._process.exit_code is None:
            self._probe.spin_until(
                lambda: target.diagnostics.get('frames received') == str(self._received),
                _DIAGNOSTICS_S)
            counts = target.diagnostics
        self._result.failed = failed = int(counts.get('frames failed', 0))
        if failed:
            self._find(f'{failed} messages ended in an unexpected error; the last lines of the '
                       f'log: {self._process.last_output()[-2000:]}')
        for length, where in ((target.longest_diagnosis, '/diagnostics'),
                              (self._process.longest_line(), 'the log')):
            if length > limits.LONGEST_TEXT:
                self._find(f'a text of {length} characters on {where}')

    def _check_wait(self, duration_s: float) -> None:
        if duration_s > limits.LONGEST_WAIT_S:
            self._find(f'{duration_s:.1f} s until it was answered')

    def _until(self, is_done: Callable[[], bool], timeout_s: float) -> bool:
        return self._probe.spin_until(lambda: is_done() or check_alive(self._process), timeout_s)

    def _find(self, what: str) -> None:
        if len(self._result.findings) < _MOST_FINDINGS:
            self._result.findings.append(Finding(
                self._source.topic, self._number, self._fault.kind, what, self._fault.cdr))
