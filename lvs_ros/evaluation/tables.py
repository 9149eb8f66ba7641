# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The tables of an evaluation, for a terminal and in Markdown."""

from typing import Any, Sequence

from lvs_ros.evaluation.evaluation import Evaluation, deviation_by_distance, summary_of_pairs
from lvs_ros.evaluation.rows import ROWS
from lvs_ros.evaluation.run import REFERENCE
from lvs_ros.evaluation.streaming import FAST_SHARE
from lvs_ros.evaluation.summary import RowSummary
from lvs_ros.tables import Table, markdown_table, percent, signed, text_table, with_error


PERFECT = 'perfect labels, one frame old'
PER_FRAME_OLD = 'per-frame, one frame old'

MIOU, AGREEMENT = 'mIoU', 'agreement'
"""What the mean IoU is called: against labels; against the per-frame network's masks."""

_AGREEMENT_NOTE = (
    'Agreement: with the masks of the per-frame network, which stand for labels here. It tells '
    'what is lost by not computing every frame in full, not how good the masks are. Pixels: share '
    'that is equal, mean over the frames. IoU: mean over the classes.')

_MOST_DRIVES = 25
"""Drives of a table; of more, the worst are shown."""


def terminal_table(evaluation: Evaluation) -> str:
    """Return the rows: how good they are, and how fast; and the sweep, if there is one."""
    tables = [*row_tables(evaluation)]
    if evaluation.sweep is not None:
        tables += [sweep_table(evaluation), equal_rate_table(evaluation)]
    return '\n\n'.join(text_table(table) for table in tables if table[1])


def measure(evaluation: Evaluation) -> str:
    """Return what the mean IoU of an evaluation is called."""
    return MIOU if evaluation.is_labelled else AGREEMENT


def title_of(evaluation: Evaluation) -> str:
    """Return what was measured on what."""
    about = evaluation.about
    return f'{about["model"]} on {about["dataset"]}' + (
        '' if evaluation.is_labelled else ': agreement with the per-frame network')


def markdown(evaluation: Evaluation, pictures: Sequence[tuple[str, str]]) -> str:
    """Return evaluation.md.

    :param pictures: file name and caption of each
    """
    name = measure(evaluation)
    parts = [f'# {title_of(evaluation)}', *map(markdown_table, row_tables(evaluation)),
             '\n'.join(f'- {note}' for note in notes(evaluation))]
    parts += [f'## {"IoU" if evaluation.is_labelled else "Agreement (IoU)"} by class (%)',
              markdown_table(class_table(evaluation.rows))]
    parts += [f'## {name[0].upper() + name[1:] if name == AGREEMENT else name} by drive (%)',
              _drives_note(evaluation), markdown_table(drive_table(evaluation))]
    parts += [f'## Worst frames of {evaluation.questioned.title}',
              'Those with the smallest share of right pixels; all frames: frames.csv.'
              if evaluation.is_labelled else 'Those with the smallest share of pixels that equal '
              "the per-frame network's; all frames: frames.csv.",
              markdown_table(worst_table(evaluation))]
    if evaluation.pairs:
        parts += ['## Deviation', markdown_table(deviation_table(evaluation))]
    if evaluation.offsets is not None:
        parts += ['## mIoU (%) by the distance from the key frame',
                  'Each labelled frame is propagated to, directly, from the key frame that lies '
                  'so many frames before it.', markdown_table(offsets_table(evaluation))]
    if evaluation.sweep is not None:
        parts += ['## Sweep', markdown_table(sweep_table(evaluation)),
                  '### Adaptive against fixed at an equal key-frame rate',
                  'The fixed schedule is linear between its intervals.',
                  markdown_table(equal_rate_table(evaluation))]
    if evaluation.durations is not None:
        parts += [f'## Streaming {name} (%) by the duration of the full network',
                  'Simulated, without flip averaging.', markdown_table(duration_table(evaluation))]
    parts += [f'![{caption}]({name})' for name, caption in pictures]
    return '\n\n'.join(part for part in parts if part) + '\n'


def notes(evaluation: Evaluation) -> list[str]:
    """Return what a reader of the table must know, in sentences."""
    about, rows = evaluation.about, evaluation.rows
    labelled = f'{rows[0].labelled_frames if rows else 0} of them' if evaluation.is_labelled \
        else 'none'
    rate = '' if about['rate_hz'] is None else f' at {about["rate_hz"]:.3g} Hz'
    found = [f'NOT COMPLETE. Missing: {", ".join(evaluation.missing)}.'] if evaluation.missing \
        else []
    found += [
        f'{about["frames"]} frames{rate}, {labelled} labelled; {about["device"]} '
        f'({about["machine"]}, cores: {about["cores"]}), {about["precision"]}, '
        f'{"with" if about["flip_averaging"] else "without"} flip averaging, {about["date"]}'
        + (f' (commit {about["commit"]}).' if about['commit'] else '.'),
        *([] if evaluation.is_labelled else [_AGREEMENT_NOTE]),
        _clock_note(evaluation), _streaming_note(evaluation), _error_note(evaluation),
        'The first frame of a drive, which has nothing before it, is computed in full by '
        'every row; it is scored, but is not among the times.']
    if evaluation.sweep is not None:
        found.append('Sweep: the setting is the threshold, or the interval of the fixed schedule; '
                     'the times are those of the steps (compute).')
    if evaluation.refined is not None:
        refined = evaluation.refined
        found.append(f'low-latency with refined masks: mIoU {percent(refined.miou)} %; '
                     f'{refined.refined} of {refined.frames} frames have one.')
    period_ms = 1e3 / about['rate_hz'] if about['rate_hz'] else float('inf')
    late = [row.title for row in rows if row.compute_mean_ms > period_ms]
    if late:
        found.append(
            f'A frame comes every {period_ms:.1f} ms. {", ".join(late)}: on average longer than '
            'that, so frames queue, and the latency grows for as long as the drive lasts; '
            'compare the compute times.')
    return found


def row_tables(evaluation: Evaluation) -> tuple[Table, Table]:
    """Return how good the rows are, and how fast: a line a row."""
    rows, perfect = evaluation.rows, percent(evaluation.perfect_miou)
    if evaluation.is_labelled:
        head = ['row', 'mIoU, %', 'streaming mIoU, %', f'minus {REFERENCE}',
                f'equals {REFERENCE}, %', 'key frames']
        quality = [[row.title, with_error(row.miou, row.miou_se),
                    with_error(row.streaming_miou, row.streaming_miou_se), _difference(row),
                    percent(row.agreement), f'{row.key_rate:.0%}'] for row in rows]
        last = [PERFECT, '100.0', perfect, *[''] * 3]
    else:
        head = ['row', 'agreement: pixels, %', 'agreement: IoU, %',
                'streaming agreement: IoU, %', 'key frames']
        quality = [[row.title, percent(row.agreement), with_error(row.miou, row.miou_se),
                    with_error(row.streaming_miou, row.streaming_miou_se), f'{row.key_rate:.0%}']
                   for row in rows]
        last = [PER_FRAME_OLD, '100.0', '100.0', perfect, '']
    if evaluation.perfect_miou is not None:
        quality.append(last)
    times = [[row.title, *(f'{value:.1f}' for value in (
        row.mean_ms, row.p99_ms, row.worst_ms, row.compute_mean_ms, row.compute_p99_ms,
        row.compute_worst_ms)), f'{row.overtaken:.0%}'] for row in rows]
    return ((head, quality),
            (['times, ms', 'latency mean', 'p99', 'worst', 'compute mean', 'p99', 'worst',
              'lost'], times))


def class_table(rows: Sequence[RowSummary]) -> Table:
    """Return a line a class, a column a row."""
    names = list(rows[0].iou) if rows else []
    return (['class', *(row.title for row in rows)],
            [[name, *(percent(row.iou[name]) for row in rows)] for name in names])


def drive_table(evaluation: Evaluation) -> Table:
    """Return a line a drive, the worst first where there are too many for a table."""
    drives = evaluation.drives
    if len(drives) > _MOST_DRIVES:
        worst = evaluation.questioned.name
        drives = sorted((drive for drive in drives if drive.scored),
                        key=lambda drive: drive.miou[worst] or 0.0)[:_MOST_DRIVES]
    return (['drive', 'frames', 'scored', *(row.title for row in evaluation.rows)],
            [[drive.drive or '–', str(drive.frames), str(drive.scored),
              *(percent(drive.miou[row.name]) for row in evaluation.rows)] for drive in drives])


def worst_table(evaluation: Evaluation) -> Table:
    """Return a line a frame, the worst first."""
    own, frames = evaluation.questioned, evaluation.worst_frames
    both = [0, 1] if evaluation.is_labelled and own.name != REFERENCE else [0]
    titles = [own.title, evaluation.reference.title]
    pixels = 'right' if evaluation.is_labelled else 'equal'
    return (['drive', 'frame', 'image', 'time, s',
             *(f'{titles[one]}: {pixels} pixels, %' for one in both),
             *(f'{titles[one]}: {measure(evaluation)}, %' for one in both)],
            [[frame.drive or '–', str(frame.frame), frame.image, f'{frame.time_s:.2f}',
              *(percent(frame.pixel_accuracy[one]) for one in both),
              *(percent(frame.miou[one]) for one in both)] for frame in frames])


def offsets_table(evaluation: Evaluation) -> Table:
    """Return a line a row, a column an offset."""
    entries = evaluation.offsets or []
    offsets = range(len(entries[0].miou)) if entries else range(0)
    return (['row', *(str(offset) for offset in offsets), 'average', 'minimum'],
            [[entry.title, *(percent(value) for value in entry.miou), percent(entry.average),
              percent(entry.minimum)] for entry in entries])


def sweep_table(evaluation: Evaluation) -> Table:
    """Return a line a point."""
    assert evaluation.sweep is not None
    return (['schedule', 'setting', 'key frames, %', f'{measure(evaluation)}, %',
             f'minus {REFERENCE}', 'mean, ms', 'worst, ms'],
            [[name.replace('_', '-'), f'{point.setting:g}', percent(point.row.key_rate),
              with_error(point.row.miou, point.row.miou_se), _difference(point.row),
              f'{point.row.compute_mean_ms:.1f}', f'{point.row.compute_worst_ms:.1f}']
             for name, points in evaluation.sweep.curves.items() for point in points])


def equal_rate_table(evaluation: Evaluation) -> Table:
    """Return a line a threshold."""
    assert evaluation.sweep is not None
    name = measure(evaluation)
    return (['threshold', 'key frames, %', f'adaptive: {name}, %', f'fixed: {name}, %',
             'difference'],
            [[f'{entry.threshold:g}', percent(entry.key_rate),
              percent(entry.adaptive_miou), percent(entry.fixed_miou),
              signed(entry.difference, entry.difference_se)]
             for entry in evaluation.sweep.equal_rate])


def duration_table(evaluation: Evaluation) -> Table:
    """Return a line a row, a column a duration."""
    assert evaluation.durations is not None and evaluation.plan.durations_s is not None
    return (['row', *(f'{1e3 * value:g} ms' for value in evaluation.plan.durations_s)],
            [[ROWS[name].title, *map(percent, values)]
             for name, values in evaluation.durations.items()])


def deviation_table(evaluation: Evaluation) -> Table:
    """Return a line a distance, and one over all."""
    def line(name: str, entry: dict[str, Any]) -> list[str]:
        rho = entry['spearman']
        return [name, str(entry['pairs']), '–' if rho is None else f'{rho:.3f}',
                *(percent(entry[key]) for key in ('true_mean', 'predicted_mean'))]

    pairs = evaluation.pairs
    return (['frames apart', 'pairs', 'Spearman', 'true, mean %', 'predicted, mean %'],
            [*(line(str(entry['distance_frames']), entry)
               for entry in deviation_by_distance(pairs)),
             line('all', summary_of_pairs(pairs))])


def _clock_note(evaluation: Evaluation) -> str:
    plan = evaluation.plan
    if plan.simulated:
        return (f'S_h takes a simulated {plan.slow_delay_s:g} s in the time of the '
                'camera, beside the frames, and uses no core: the masks are the same on every '
                'machine, the times those of a fast track that has all cores to itself.')
    return ('Real time: frames arrive at the rate of the camera, one that arrives while another '
            'is computed waits, and S_h runs beside them on the same machine. Latency: from '
            'arrival to mask. Compute: the step alone, with what S_h holds it up.')


def _streaming_note(evaluation: Evaluation) -> str:
    about = evaluation.about
    name, truth = (MIOU, 'labels') if evaluation.is_labelled else (
        AGREEMENT, 'mask by the per-frame network')
    text = (f'Streaming {name}: whenever a frame arrives, the newest output there is then, '
            f"against that frame's {truth}; the newest frame wins, and those that it overtakes "
            'are lost. '
            'Rows that look ahead: of their forecasts; the other columns are of their '
            'masks.')
    if about['full_s'] is None:
        return text
    flipped = ' and S_h once more for the flipped image' if about['flip_averaging'] else ''
    return (f'{text} For it, a frame computed in full takes a simulated {about["full_s"]:g} s'
            f'{flipped}, a propagated one, or one of the small network, '
            f'{FAST_SHARE * about["full_s"]:g} s.')


def _error_note(evaluation: Evaluation) -> str:
    bootstrap = evaluation.about['bootstrap']
    frames = 'labelled frames' if evaluation.is_labelled else 'frames'
    if evaluation.rows and evaluation.rows[0].miou_se is None:
        return f'Too few {frames} to say how much of a difference is chance.'
    return (f'±: standard error by a moving block bootstrap ({bootstrap["resamples"]} resamples, '
            f'blocks of {bootstrap["block_frames"]} {frames}); in the difference from '
            'the per-frame network both rows are resampled alike.')


def _drives_note(evaluation: Evaluation) -> str:
    count = len(evaluation.drives)
    return '' if count <= _MOST_DRIVES else (
        f'The {_MOST_DRIVES} worst of {count} by {evaluation.questioned.title}; all: drives.csv.')


def _difference(row: RowSummary) -> str:
    return '' if row.name == REFERENCE else signed(row.difference, row.difference_se)
