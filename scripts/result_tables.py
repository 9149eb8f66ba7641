# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fill the tables of results in the documents from the files that commands wrote.

    python scripts/result_tables.py            rewrite them
    python scripts/result_tables.py --check    exit code 1 where a page differs from the files

In a page a table stands between ``<!-- table: NAME -->`` and ``<!-- /table -->``, with the
commands that wrote its files under it. NAME is a function of :data:`TABLES`. The files are
docs/results/*.json (``lvs evaluate --out``: evaluation.json) and docs/performance/*.json (``lvs
benchmark --out``: benchmark.json).
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import sys
from typing import Any, Callable, Sequence

from lvs_ros.tables import Table, markdown_table, percent, signed, with_error

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ('README.md', 'docs/results.md', 'docs/performance.md', 'docs/threshold.md',
         'config/models/lite_camvid.md')

PERFECT = 'perfect labels, one frame old'

_BLOCK = re.compile(r'(<!-- table: (\w+) -->\n).*?(<!-- /table -->)', re.DOTALL)


class Reader:
    """Reads files of results, and remembers which."""

    def __init__(self, root: pathlib.Path = ROOT) -> None:
        self._root = root
        self.read: dict[pathlib.Path, dict[str, Any]] = {}

    def results(self, name: str) -> dict[str, Any]:
        """Return what ``lvs evaluate`` wrote, its rows by name."""
        told = self._load(self._root / 'docs/results' / f'{name}.json')
        return {**told, 'rows': {row['name']: row for row in told.get('rows', ())}}

    def performance(self, name: str) -> dict[str, Any]:
        """Return what ``lvs benchmark`` wrote."""
        return self._load(self._root / 'docs/performance' / f'{name}.json')

    def _load(self, path: pathlib.Path) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        self.read[path] = told
        return told


def real_time(reader: Reader) -> Table:
    """All rows of the run in real time."""
    told = reader.results('real_time')
    full_ms = told['rows']['per_frame']['compute_mean_ms']
    lines = [[row['title'], _points(row, 'miou'), _points(row, 'streaming_miou'),
              _difference(row), percent(row['key_rate'], 0), _milliseconds(row),
              f'{row["compute_worst_ms"] / full_ms:.2f}', percent(row['overtaken'], 0)]
             for row in told['rows'].values()]
    head = ['row', 'mIoU, %', 'streaming mIoU, %', 'minus per-frame', 'key frames, %',
            'a frame, ms: mean / p99 / worst', "worst / per-frame's mean", 'lost, %']
    return head, [*lines, _perfect(told, head)]


def summary(reader: Reader) -> Table:
    """The rows that matter most."""
    told = reader.results('real_time')
    lines = [[row['title'], percent(row['miou']), percent(row['streaming_miou']),
              _milliseconds(row), percent(row['overtaken'], 0)]
             for name, row in told['rows'].items()
             if name in ('per_frame', 'fixed', 'low_latency', 'low_latency_forecast',
                         'small_per_frame_forecast')]
    head = ['', 'mIoU, %', 'streaming mIoU, %', 'a frame, ms: mean / p99 / worst',
            'frames lost, %']
    return head, [*lines, _perfect(told, head)]


def durations(reader: Reader) -> Table:
    """The streaming accuracy over the duration of the full network."""
    told = reader.results('durations')
    curves = dict(told['streaming_miou_by_duration'])
    head = ['full network', *(f'{1e3 * value:g} ms' for value in curves.pop('full_s'))]
    titles = {name: row['title'] for name, row in told['rows'].items()}
    return head, [[titles[name], *map(percent, values)] for name, values in curves.items()]


def sizes(reader: Reader) -> Table:
    """The accuracy over the size at which the network sees the images."""
    lines = []
    for size, name in (('480x360', 'simulated'), ('600x448', 'size_600x448'),
                       ('960x720', 'size_960x720')):
        rows = reader.results(name)['rows']
        lines.append([size, _points(rows['per_frame'], 'miou'),
                      _points(rows['low_latency'], 'miou'),
                      _points(rows['low_latency'], 'streaming_miou'),
                      _points(rows['low_latency_forecast'], 'streaming_miou')])
    return ['`inference_size`', 'per-frame: mIoU, %', 'low-latency: mIoU, %', 'streaming mIoU, %',
            'looking ahead: streaming mIoU, %'], lines


def flip_averaging(reader: Reader) -> Table:
    """What flip averaging gives."""
    without, averaged = (reader.results(name)['rows'] for name in ('simulated', 'flip_averaging'))
    return ['row', 'mIoU, %', 'with flip averaging', 'minus per-frame', 'with flip averaging'], [
        [row['title'], _points(without[name], 'miou'), _points(row, 'miou'),
         _difference(without[name]), _difference(row)] for name, row in averaged.items()]


def streets(reader: Reader) -> Table:
    """Looking ahead on the synthetic street."""
    lines = []
    for title, name in (('10 driving, 15 Hz', 'street_15hz'), ('10 driving, 30 Hz', 'street_30hz'),
                        ('2 standing, 15 Hz', 'standing_15hz'),
                        ('2 standing, 30 Hz', 'standing_30hz')):
        told = reader.results(name)
        gains = [drive['streaming_miou']['low_latency_forecast']
                 - drive['streaming_miou']['low_latency'] for drive in told['drives']]
        rows = told['rows']
        lines.append([title, percent(told['perfect_labels_one_frame_old']),
                      _points(rows['low_latency'], 'streaming_miou'),
                      _points(rows['low_latency_forecast'], 'streaming_miou'),
                      f'{100 * min(gains):+.1f}', f'{100 * max(gains):+.1f}'])
    return ['drives', PERFECT, 'low-latency', 'looking ahead', 'smallest gain of a drive',
            'largest'], lines


def thresholds(reader: Reader) -> Table:
    """The adaptive schedule against the fixed one at the same rate of key frames."""
    return ['threshold', 'key frames, %', 'adaptive: mIoU, %', 'fixed at that rate: mIoU, %',
            'difference'], [
        [f'{entry["threshold"]:g}', percent(entry['key_rate']), percent(entry['adaptive_miou']),
         percent(entry['fixed_miou']), signed(entry['difference'], entry['difference_se'])]
        for entry in reader.results('simulated')['sweep']['equal_key_rate']]


def stops(reader: Reader) -> Table:
    """The adaptive schedule against evenly spaced key frames on drives with a stop."""
    drives, lines = reader.results('stop')['drives'], []
    for part in ('whole drive', 'moving', 'standing'):
        parts = [drive[part] for drive in drives]
        keys = [[entry['key_frames'][kind] for entry in parts] for kind in ('adaptive', 'even')]
        lines.append([part, *(f'{sum(values) / len(values):.1f}' for values in keys),
                      *(_mean_difference([entry[measure] for entry in parts])
                        for measure in ('miou', 'pixel_accuracy'))])
    return ['', 'key frames of a drive: adaptive', 'evenly spaced', 'difference in mIoU',
            'in pixel accuracy'], lines


def slow_cameras(reader: Reader) -> Table:
    """Refined masks of cameras with few images a second."""
    lines = []
    for every in (3, 7, 15):
        told = reader.results(f'every_{every}')
        rows, refined = told['rows'], told['refined_mask']
        full = rows['per_frame']['miou']
        lines.append([f'{15 / every:.2g}', percent(full), _points(rows['low_latency'], 'miou'),
                      f'{100 * (rows["low_latency"]["miou"] - full):+.1f}',
                      percent(refined['miou']), f'{100 * (refined["miou"] - full):+.1f}',
                      f'{refined["refined"]} of {refined["frames"]}'])
    return ['images a second', 'per-frame: mIoU, %', 'low-latency', 'minus per-frame',
            'with refined masks', 'minus per-frame', 'images with one'], lines


def offsets(reader: Reader) -> Table:
    """How far features can be moved."""
    entries = reader.results('simulated')['offsets']
    return ['frames from the key frame', *map(str, range(len(entries[0]['miou']))), 'average',
            'minimum'], [
        [entry['title'], *map(percent, entry['miou']), percent(entry['average']),
         percent(entry['minimum'])] for entry in entries]


def deviation(reader: Reader) -> Table:
    """Predicted against true deviation."""
    return ['frames apart', 'pairs', 'Spearman', 'true, %', 'predicted, %'], [
        [str(entry['distance_frames']), str(entry['pairs']), f'{entry["spearman"]:.2f}',
         percent(entry['true_mean']), percent(entry['predicted_mean'])]
        for entry in reader.results('simulated')['deviation']]


def classes(reader: Reader) -> Table:
    """IoU by class."""
    rows = reader.results('real_time')['rows'].values()
    return ['IoU, %', *(row['title'] for row in rows)], [
        [name, *(percent(row['iou'][name]) for row in rows)]
        for name in next(iter(rows))['iou']]


def frames(reader: Reader) -> Table:
    """How long a frame takes."""
    told = reader.performance('benchmark')
    titles = {'full': 'full network', 'full_flip_averaging': 'full network with flip averaging',
              'fast_alone': 'frame alone, one after the other',
              'fast_alone_at_rate': 'frame alone, 15 Hz',
              'fast_contended': 'frame while S_h runs without a pause, 15 Hz',
              'fast_contended_back_to_back': 'the same, one frame after the other',
              'at_rate': 'frame with the default schedule, 15 Hz'}
    lines = [[title, *_percentiles(told['rows'][name]['step_ms'])]
             for name, title in titles.items()]
    lines += [[title, *_percentiles(told['rows'][name]['slow_ms'])] for title, name in (
        ('S_h alone', 'full'), ('S_h beside frames, 15 Hz', 'fast_contended'))]
    dds = told['over_dds']
    lines += [[f'over DDS, stamp to mask: {dds["masks"]} of {dds["sent"]} masks',
               *_percentiles(dds['latency_ms'])],
              ["of that, all but the pipeline's step", *_percentiles(dds['node_ms'])],
              ['a bare rclpy node that sends the image back', *_percentiles(dds['echo_ms'])]]
    return ['milliseconds', 'p50', 'p99', 'worst'], lines


def stages(reader: Reader) -> Table:
    """Where the time of a frame goes."""
    rows = reader.performance('benchmark')['rows']
    titles = {'wait': 'waiting for the cores', 'input': 'image to tensor', 'low': 'S_l',
              'flow': 'optical flow', 'deviation': 'deviation net', 'propagation':
              'propagation and AdaptNet', 'classify': 'classifier and detail head',
              'output': 'upsampling and class', 'rest': 'all else'}
    shown = ('fast_alone', 'fast_contended')
    return ['milliseconds, p50', 'alone, one after the other', 'while S_h runs, 15 Hz'], [
        [title, *(f'{rows[name]["stage_ms"][stage]:.2f}' for name in shown)]
        for stage, title in titles.items()]


def paper(reader: Reader) -> Table:
    """The paper's network."""
    rows = reader.performance('paper')['rows']
    full = rows['full']['step_ms']['p50']
    return ['milliseconds', 'p50', 'p99', 'worst', "worst / full network's p50"], [
        [title, *_percentiles(rows[name]['step_ms']),
         f'{rows[name]["step_ms"]["worst"] / full:.2f}'] for title, name in (
            ('full network', 'full'), ('frame alone, 8 Hz', 'fast_alone_at_rate'),
            ('frame with the default schedule, 8 Hz', 'at_rate'))]


def load(reader: Reader) -> Table:
    """Frames beside other programs."""
    plain, first = (reader.performance(name)['rows'] for name in ('load', 'load_priority'))
    return ['milliseconds', 'p50', 'p99', 'worst', '`realtime_priority: 10`: p50', 'p99', 'worst'
            ], [
        [title, *_percentiles(plain[name]['step_ms']), *_percentiles(first[name]['step_ms'])]
        for title, name in (('frame alone, 15 Hz', 'fast_alone_at_rate'),
                            ('frame while S_h runs without a pause, 15 Hz', 'fast_contended'),
                            ('frame with the default schedule, 15 Hz', 'at_rate'))]


def amx(reader: Reader) -> Table:
    """A processor that multiplies matrices in bfloat16 (a file of an earlier form)."""
    told = reader.performance('amx')
    titles = {'full_unmirrored_ms': 'full network', 'fast_alone_ms':
              'frame alone, one after the other', 'fast_contended_ms':
              'frame while S_h runs without a pause, 15 Hz', 'slow_alone_ms': 'S_h alone'}
    return ['milliseconds', 'p50', 'p99', 'worst'], [
        [title, *_percentiles(told[name])] for name, title in titles.items()]


TABLES: dict[str, Callable[[Reader], Table]] = {made.__name__: made for made in (
    real_time, summary, durations, sizes, flip_averaging, streets, thresholds, stops, slow_cameras,
    offsets, deviation, classes, frames, stages, paper, load, amx)}


def filled(text: str, folder: pathlib.Path, root: pathlib.Path = ROOT) -> str:
    """Return a page with its tables made anew.

    :param folder: of the page
    :raises KeyError: for a table that there is not
    """
    named: set[pathlib.Path] = set()    # their commands stand further up in the page

    def block(match: re.Match[str]) -> str:
        reader = Reader(root)
        table = markdown_table(TABLES[match[2]](reader))
        sources = '\n'.join(_source(path, {} if path in named else told, folder)
                            for path, told in reader.read.items())
        named.update(reader.read)
        return f'{match[1]}{table}\n\n{sources}\n{match[3]}'

    return _BLOCK.sub(block, text)


def _source(path: pathlib.Path, told: dict[str, Any], folder: pathlib.Path) -> str:
    command, cores, commit = (told.get(name) for name in ('command', 'cores', 'commit'))
    about = [f'[{path.name}]({os.path.relpath(path, folder)})',
             command and f'`{command}`'.replace(' --force', ''),
             told.get('machine', told.get('device')), cores and f'cores: {cores}',
             told.get('precision'), told.get('date'), commit and f'commit {commit}']
    return f'- {", ".join(part for part in about if part)}'


def _points(row: dict[str, Any], measure: str) -> str:
    return with_error(row[measure], row[f'{measure}_se'])


def _difference(row: dict[str, Any]) -> str:
    return '' if row['name'] == 'per_frame' else signed(row['difference'], row['difference_se'])


def _milliseconds(row: dict[str, Any]) -> str:
    return ' / '.join(f'{row[f"compute_{name}_ms"]:.0f}' for name in ('mean', 'p99', 'worst'))


def _percentiles(values: dict[str, float]) -> list[str]:
    return [f'{values[name]:.1f}' for name in ('p50', 'p99', 'worst')]


def _perfect(told: dict[str, Any], head: Sequence[str]) -> list[str]:
    return [PERFECT, '100.0', percent(told['perfect_labels_one_frame_old']),
            *[''] * (len(head) - 3)]


def _mean_difference(entries: Sequence[dict[str, float]]) -> str:
    values = [entry['adaptive'] - entry['even'] for entry in entries]
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return f'{100 * mean:+.2f} ±{100 * (spread / len(values)) ** 0.5:.2f}'


def main() -> int:
    """Fill or check the pages; return the exit code."""
    parser = argparse.ArgumentParser(description='Fill the tables of results in the documents.')
    parser.add_argument('--check', action='store_true', help='only say which page differs')
    check = parser.parse_args().check
    differ = []
    for name in PAGES:
        page = ROOT / name
        text = page.read_text(encoding='utf-8')
        new = filled(text, page.parent)
        if new != text:
            differ.append(name)
            if not check:
                page.write_text(new, encoding='utf-8')
    if check and differ:
        print(f'{", ".join(differ)}: tables differ from the files of results; run python '
              'scripts/result_tables.py', file=sys.stderr)
        return 1
    print(f'{", ".join(differ) or "nothing"} rewritten' if not check else 'tables: as the files')
    return 0


if __name__ == '__main__':
    sys.exit(main())
