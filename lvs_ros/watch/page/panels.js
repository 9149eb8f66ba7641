// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0

/** Condition, figures, drops and legend. */

const element = (id) => document.getElementById(id);

export function showCondition(condition) {
  const gone = condition.level === 'GONE';
  document.body.classList.toggle('gone', gone);
  element('level').textContent = condition.level;
  element('level').dataset.level = condition.level;
  element('message').textContent = condition.message;
  if (gone) return;  // the last figures stay, pale
  for (const [id, name] of [['p50', 'p50'], ['p99', 'p99'], ['worst', 'max']]) {
    figure(id, condition.latency_ms[name], 1, 'ms');
  }
  figure('rate', condition.rate_out_hz, 1, `of ${number(condition.rate_in_hz, 1)} Hz`);
  element('window').textContent = `Latency: from the stamp of the image to its mask, over the last ` +
    `${number(condition.window_s, 0)} s. Key frames and S_h: over what the curve shows` +
    (condition.slow_track_ms === null ? '.' : `; S_h takes ${number(condition.slow_track_ms, 0)} ms.`);
  const rows = [['Images received', condition.received], ['Frames dropped', condition.dropped]];
  for (const [reason, count] of Object.entries(condition.drops)) rows.push([`– ${reason}`, count]);
  table(element('drops'), rows.map(([name, count]) => [name, number(count, 0), name !== 'Images received' && count > 0]));
  table(element('values'), condition.values);
}

/** What can be told of the frames that the curve shows. */
export function showFrames(frames) {
  const keys = frames.filter((frame) => frame.key_frame).length;
  const busy = frames.filter((frame) => frame.busy).length;
  const spanS = frames.length > 1 ? frames.at(-1).time_s - frames[0].time_s : 0;
  figure('key-frames', frames.length ? 100 * keys / frames.length : null, 0,
         spanS > 1 ? `% · ${number(keys / spanS, 1)}/s` : '%');
  figure('busy', frames.length ? 100 * busy / frames.length : null, 0, '%');
}

export function showLegend(classes, problem) {
  element('legend').replaceChildren(...classes.map(({name, colour}) => {
    const item = document.createElement('li'), swatch = document.createElement('span');
    const share = document.createElement('span');
    swatch.className = 'swatch';
    swatch.style.background = colour;
    share.className = 'share';
    item.append(swatch, name, share);
    return item;
  }));
  element('legend-problem').hidden = !problem;
  element('legend-problem').textContent = problem;
}

export function showShares(shares) {
  document.querySelectorAll('#legend .share').forEach((share, index) => {
    const percent = 100 * (shares?.[index] ?? 0);
    share.textContent = !shares ? '' : percent > 0 && percent < 0.1 ? '< 0.1 %' : `${percent.toFixed(1)} %`;
  });
}

function number(value, digits) {
  return value === null ? '–' : value.toFixed(digits);
}

function figure(id, value, digits, unit) {
  const small = document.createElement('small');
  small.textContent = value === null ? '' : ` ${unit}`;
  element(id).replaceChildren(number(value, digits), small);
}

/** Fill rows of [name, text, whether to mark it]. */
function table(body, rows) {
  body.replaceChildren(...rows.map(([name, value, marked]) => {
    const row = document.createElement('tr'), head = document.createElement('th');
    const cell = document.createElement('td');
    head.scope = 'row';
    head.textContent = name;
    cell.textContent = value;
    cell.classList.toggle('some', Boolean(marked));
    row.append(head, cell);
    return row;
  }));
}
