# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The report on faulty messages: text, figures, and the messages that caused a finding."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from lvs_ros.benchmark.faults.findings import Finding, Run
from lvs_ros.benchmark.faults.node_run import NodeRun
from lvs_ros.benchmark.memory_growth import (FEWEST_SAMPLES, MemoryGrowth, MemorySample,
                                             judge_memory)
from lvs_ros.json_files import write_json
from lvs_ros.options import PipelineOptions

JSON, MESSAGES = 'faults.json', 'messages'
_SHOWN, _KEPT = 10, 100    # findings


@dataclasses.dataclass(frozen=True)
class FaultReport:
    """Runs and the judgement on them.

    :param tolerance: trend of resident memory that still passes, MiB
    """

    seed: int
    nodes: Sequence[NodeRun]
    decoders: Run
    options: PipelineOptions
    size: tuple[int, int]
    tolerance: float
    duration_s: float

    @property
    def findings(self) -> list[Finding]:
        """All that must not have happened."""
        return [*(one for run in self.nodes for one in run.findings), *self.decoders.findings]

    @property
    def growths(self) -> dict[str, MemoryGrowth]:
        """The judgement on the memory of each process that ran long enough."""
        memories: dict[str, Sequence[MemorySample]] = {
            **{f'node of {run.topic}': run.memory for run in self.nodes},
            'decoders': self.decoders.memory}
        return {name: judge_memory(memory, tolerance=self.tolerance)
                for name, memory in memories.items() if len(memory) >= FEWEST_SAMPLES}

    @property
    def passes(self) -> bool:
        """Whether nothing was found, and memory stays flat."""
        return not self.findings and all(one.passes for one in self.growths.values())

    @property
    def verdict(self) -> str:
        """The judgement, in a sentence."""
        growing = [name for name, one in self.growths.items() if not one.passes]
        parts = [f'{len(self.findings)} findings'] if self.findings else []
        parts += [f'memory grows: {", ".join(growing)}'] if growing else []
        return '; '.join(parts) or 'nothing found, memory stays flat'

    @property
    def text(self) -> str:
        """The summary, in lines."""
        lines = [f'faulty messages of seed {self.seed}, good images of '
                 f'{self.size[0]}x{self.size[1]}, {pathlib.Path(self.options.model).stem}, in '
                 f'{self.duration_s / 60:.1f} min']
        for run in self.nodes:
            good, refused = _sums(run)
            longest_ms, kind = run.worst('longest_ms')
            lines += [f'  {run.topic}: {good + refused} messages through a node: {good} masks, '
                      f'{refused} dropped, {run.failed} of them on an unexpected error',
                      f'    {run.sentinels} times reset, and the same image sent; longest wait '
                      f'{longest_ms / 1e3:.2f} s ({kind})']
        good, refused = _sums(self.decoders)
        longest_ms, kind = self.decoders.worst('longest_ms')
        peak_mib, peak_kind = self.decoders.worst('peak_mib')
        lines += [f'  decoders alone: {good + refused} messages: {good} decoded, {refused} '
                  'refused',
                  f'    most processor time {longest_ms / 1e3:.2f} s ({kind}), most memory '
                  f'{peak_mib:.1f} MiB ({peak_kind})']
        lines += [f'  resident memory, {name}: {one.at_10_percent:.1f} MiB at 10 %, '
                  f'{one.at_50_percent:.1f} at 50 %, {one.at_100_percent:.1f} at 100 %, trend '
                  f'{one.trend:+.1f} ({one.trend_tolerance:g} tolerated)'
                  for name, one in self.growths.items()]
        lines += [f'  {one}' for one in self.findings[:_SHOWN]]
        if len(self.findings) > _SHOWN:
            lines.append(f'  … and {len(self.findings) - _SHOWN} more')
        return '\n'.join([*lines, f'  {self.verdict}'])

    def write(self, folder: pathlib.Path) -> None:
        """Write all files.

        :param folder: exists not yet; its parent does
        """
        folder.mkdir()
        told = {'seed': self.seed, 'size': self.size, 'duration_s': self.duration_s,
                'passes': self.passes, 'verdict': self.verdict,
                'nodes': [_told(run) for run in self.nodes], 'decoders': _told(self.decoders),
                'findings': [self._keep(folder / MESSAGES, index, one)
                             for index, one in enumerate(self.findings)],
                'growth': {name: {**dataclasses.asdict(one), 'passes': one.passes}
                           for name, one in self.growths.items()},
                'options': dataclasses.asdict(self.options)}
        write_json(folder / JSON, told)

    @staticmethod
    def _keep(folder: pathlib.Path, index: int, finding: Finding) -> dict[str, Any]:
        """Write the message of a finding into a file; return what is told of it."""
        told: dict[str, Any] = {'where': finding.where, 'number': finding.number,
                                'kind': finding.kind, 'what': finding.what}
        if finding.cdr and index < _KEPT:
            folder.mkdir(exist_ok=True)
            told['message'] = f'{MESSAGES}/{index}.cdr'
            (folder / f'{index}.cdr').write_bytes(finding.cdr)
        return told


def _sums(run: Run) -> tuple[int, int]:
    counts = run.counts.values()
    return sum(one.good for one in counts), sum(one.refused for one in counts)


def _told(run: Run) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(run).items() if name != 'findings'}
