// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0

/** The threshold: a line over the chart that can be dragged, and a field for a number. */

const PERIOD_MS = 150;  // between two requests while the line is dragged
const ANSWER_MS = 6000;  // a request without an answer counts as lost
const SETTLE_MS = 1500;  // frames that were on their way have the threshold of before
const DIGITS = 3;

export class Threshold {
  /**
   * @param {Chart} chart Converts between thresholds and heights.
   * @param {function(number): number} set Asks the node; returns the number of the answer.
   * @param {function()} redraw Draws the chart again.
   */
  constructor(chart, set, redraw) {
    this.chart = chart;
    this.set = set;
    this.redraw = redraw;
    this.line = document.getElementById('threshold');
    this.grip = document.getElementById('grip');
    this.field = document.getElementById('number');
    this.told = document.getElementById('answer');
    this.allowed = false;
    this.forget();
    this.line.addEventListener('pointerdown', (event) => this.grab(event));
    this.line.addEventListener('pointermove', (event) => this.drag(event));
    this.line.addEventListener('pointerup', () => this.drop());
    this.line.addEventListener('pointercancel', () => this.drop());
    this.line.addEventListener('keydown', (event) => this.key(event));
    document.getElementById('form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  /** Another node: nothing is known of it. */
  forget() {
    this.actual = null;  // the node's
    this.wanted = null;  // the user's, until the node has it
    this.asked = null;  // the threshold that was last asked for, its number and time
    this.settledMs = 0;
    this.field.value = '';
    this.tell('');
    this.place();
  }

  get value() {
    return this.wanted ?? this.actual;
  }

  allow(allowed) {
    this.allowed = allowed;
    this.line.setAttribute('aria-disabled', String(!allowed));
    for (const element of document.querySelectorAll('#form input, #form button')) {
      element.disabled = !allowed;
    }
    document.getElementById('advice').hidden = !allowed;
  }

  /** The node says what it has. */
  follow(threshold) {
    if (threshold === null || this.dragging) return;
    if (this.wanted !== null && performance.now() < this.settledMs && threshold !== this.wanted) return;
    if (threshold !== this.actual && document.activeElement !== this.field) this.field.value = text(threshold);
    this.actual = threshold;
    if (!this.asked) this.wanted = null;
    this.place();
  }

  grab(event) {
    if (!this.allowed || this.value === null) return;
    this.line.setPointerCapture(event.pointerId);
    this.offset = event.clientY - this.chart.y(this.value);
    this.dragging = this.chart.held = true;
  }

  drag(event) {
    if (this.dragging) this.choose(this.chart.deviation(event.clientY - this.offset));
  }

  drop() {
    if (!this.dragging) return;
    this.dragging = this.chart.held = false;
    this.ask();
    this.redraw();
  }

  key(event) {
    const steps = {ArrowUp: 0.01, ArrowRight: 0.01, ArrowDown: -0.01, ArrowLeft: -0.01,
                   PageUp: 0.1, PageDown: -0.1, Home: -1, End: 1};
    if (!this.allowed || this.value === null || !(event.key in steps)) return;
    event.preventDefault();
    this.choose(Math.min(1, Math.max(0, this.value + steps[event.key])));
    this.redraw();
  }

  choose(threshold) {
    this.wanted = Number(threshold.toFixed(DIGITS));
    this.field.value = text(this.wanted);
    this.place();
    this.ask();
  }

  /** Whatever stands in the field goes to the node: it says best what is wrong with it. */
  submit() {
    const given = this.field.value.trim().replace(',', '.');
    if (given === '' || !Number.isFinite(Number(given))) {
      this.tell(`${given || 'nothing'} is no number`, true);
      return;
    }
    this.wanted = Number(given);
    this.ask();
  }

  /** Ask the node for what is wanted; while one answer is awaited, and for a moment, wait. */
  ask() {
    clearTimeout(this.timer);
    const sinceMs = performance.now() - (this.asked?.atMs ?? this.askedMs ?? -Infinity);
    const restMs = (this.asked ? ANSWER_MS : PERIOD_MS) - sinceMs;
    if (restMs > 0) {
      this.timer = setTimeout(() => this.ask(), restMs);
      return;
    }
    if (this.wanted === null) return;
    this.askedMs = performance.now();
    this.asked = {threshold: this.wanted, atMs: this.askedMs, number: this.set(this.wanted)};
    this.tell('setting …');
  }

  /** The node, or lvs watch, has answered. */
  answer({number, problem}) {
    if (!this.asked || number !== this.asked.number) return;
    const {threshold} = this.asked;
    this.asked = null;
    this.settledMs = performance.now() + SETTLE_MS;
    if (problem === null) {
      this.actual = threshold;
      this.tell(`the node has ${text(threshold)}`);
      if (this.wanted !== threshold) this.ask();
    } else {
      this.tell(problem, true);
      if (!this.dragging) this.wanted = null;
      this.field.value = this.actual === null ? '' : text(this.actual);
    }
    this.redraw();
  }

  tell(what, refused = false) {
    this.told.textContent = what;
    this.told.classList.toggle('refused', refused);
  }

  place() {
    const {value} = this;
    this.line.hidden = value === null;
    if (value === null) return;
    this.line.style.top = `${this.chart.y(Math.min(value, this.chart.top))}px`;
    this.line.setAttribute('aria-valuenow', value);
    this.grip.textContent = text(value);
  }
}

function text(threshold) {
  return String(Number(threshold.toFixed(DIGITS)));
}
