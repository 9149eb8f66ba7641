# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The report on a long run: text, figures, picture."""

from __future__ import annotations

import dataclasses
import pathlib
import textwrap

from lvs_ros.benchmark.memory_growth import MemoryGrowth
from lvs_ros.benchmark.soak import OTHER_SIZE, SoakRun
from lvs_ros.json_files import write_json
from lvs_ros.options import PipelineOptions
from lvs_ros.plots import new_figure, save_figure
from lvs_ros.tables import WIDTH

JSON, PICTURE = 'soak.json', 'soak.png'
_LEAST_SPAN = 32.0    # MiB: less would blow up noise


@dataclasses.dataclass(frozen=True)
class SoakReport:
    """A run and the judgement on it.

    :param size: (width, height) of the images
    """

    run: SoakRun
    growth: MemoryGrowth
    options: PipelineOptions
    size: tuple[int, int]

    @property
    def title(self) -> str:
        """What ran."""
        return (f'{self.run.frames} frames of {self.size[0]}x{self.size[1]}, '
                f'{pathlib.Path(self.options.model).stem}')

    @property
    def passes(self) -> bool:
        """Whether the memory stays flat."""
        return self.growth.passes

    @property
    def verdict(self) -> str:
        """What the memory did, in a sentence."""
        growth = self.growth
        return (f'memory {"stays flat" if growth.passes else "grows"} over the second half: trend '
                f'{growth.trend:+.1f} MiB ({growth.trend_tolerance:g} tolerated; '
                f'{growth.kibibytes_per_frame:+.2f} KiB a frame), rise {growth.rise:+.1f} MiB '
                f'({growth.rise_tolerance:.0f} tolerated)')

    @property
    def text(self) -> str:
        """The summary, in lines."""
        run, latency, growth = self.run, self.run.latency_ms, self.growth
        return '\n'.join(textwrap.fill(line, WIDTH, subsequent_indent='    ') for line in (
            f'{self.title}, in {run.duration_s / 60:.1f} min',
            f'  {run.masks} masks, {run.frames - run.masks} missed, {run.dropped} dropped by the '
            f'node, {run.key_frames} key frames, {run.slow_failures} failures of S_h',
            f'  stamp to mask: p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms, worst '
            f'{latency.worst:.1f} ms',
            f'  resident memory: {growth.at_10_percent:.1f} MiB at 10 % of the frames, '
            f'{growth.at_50_percent:.1f} MiB at 50 %, {growth.at_100_percent:.1f} MiB at 100 %',
            f'  {self.verdict}'))

    def write(self, folder: pathlib.Path) -> None:
        """Write all files.

        :param folder: exists not yet; its parent does
        """
        folder.mkdir()
        self._plot(folder / PICTURE)
        told = {'size': self.size, 'model': self.options.model, **dataclasses.asdict(self.run),
                'growth': {**dataclasses.asdict(self.growth),
                           'kibibytes_per_frame': self.growth.kibibytes_per_frame,
                           'passes': self.growth.passes},
                'options': dataclasses.asdict(self.options)}
        write_json(folder / JSON, told)

    def _plot(self, path: pathlib.Path) -> None:
        frames, memory = zip(*self.run.memory)
        figure = new_figure(10, 4)
        axes = figure.add_subplot()
        axes.axvspan(self.run.frames / 2, self.run.frames, color='tab:green', alpha=0.08,
                     label='second half: judged')
        axes.axvspan(*(share * self.run.frames for share in OTHER_SIZE), color='0.5', alpha=0.15,
                     label='images of another size')
        axes.plot(frames, memory, color='tab:blue', linewidth=1.2, label="the node's process")
        middle = (max(memory) + min(memory)) / 2
        half = 0.6 * max(max(memory) - min(memory), _LEAST_SPAN)
        axes.set_title(f'{self.title}\n{self.verdict}', fontsize='medium')
        axes.set(xlabel='frames', ylabel='resident memory (MiB)',
                 xlim=(0, self.run.frames), ylim=(middle - half, middle + half))
        axes.ticklabel_format(useOffset=False)
        axes.grid(alpha=0.25)
        axes.legend(loc='lower right', fontsize='small', framealpha=0.9)
        save_figure(path, figure)
