// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0

/** The curve of the predicted deviation, and the frames that it is drawn from. */

export const SPAN_S = 60;
const LEFT = 42, BOTTOM = 24, TOP = 14, BAND = 6;  // CSS pixels around and below the plot
const GAP_S = 3;  // no line over a pause
const SCALES = [0.05, 0.1, 0.2, 0.5, 1];
const ROOM = 1.3;  // above the highest of what is shown

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.frames = [];
    this.top = 0.2;  // deviation at the upper border
    this.held = false;  // the scale stays while the line is dragged
  }

  clear() {
    this.frames = [];
  }

  add(frames) {
    this.frames.push(...frames);
  }

  /** Forget what is too old. */
  trim(nowS) {
    const first = this.frames.findIndex((frame) => frame.time_s >= nowS - SPAN_S);
    this.frames.splice(0, first < 0 ? this.frames.length : first);
  }

  /** Convert between a deviation and a height in the chart, CSS pixels from above. */
  y(deviation) {
    return TOP + (1 - deviation / this.top) * this.plotHeight();
  }

  deviation(y) {
    return Math.min(1, Math.max(0, (1 - (y - TOP) / this.plotHeight()) * this.top));
  }

  plotHeight() {
    return this.canvas.clientHeight - TOP - BOTTOM;
  }

  draw(nowS, threshold) {
    this.trim(nowS);
    this.rescale(threshold);
    const {canvas} = this;
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const pen = canvas.getContext('2d');
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const x = (timeS) => LEFT + (1 + (timeS - nowS) / SPAN_S) * (width - LEFT);
    this.drawGrid(pen, colour, width, height);
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, 0, width - LEFT, height);
    pen.clip();
    this.drawBand(pen, colour, x);
    this.drawCurve(pen, colour, x);
    this.drawKeyFrames(pen, colour, x);
    pen.restore();
  }

  rescale(threshold) {
    if (this.held) return;
    const highest = this.frames.reduce((most, frame) => Math.max(most, frame.deviation ?? 0), threshold ?? 0);
    this.top = SCALES.find((scale) => scale >= ROOM * highest) ?? 1;
  }

  drawGrid(pen, colour, width, height) {
    pen.strokeStyle = colour('rule');
    pen.fillStyle = colour('soft');
    pen.font = '12px system-ui, sans-serif';
    pen.lineWidth = 1;
    pen.textBaseline = 'middle';
    pen.textAlign = 'right';
    const parts = this.top === 0.5 || this.top === 0.05 ? 5 : 4;
    for (let part = 0; part <= parts; part += 1) {
      const value = this.top * part / parts, y = Math.round(this.y(value)) + 0.5;
      line(pen, LEFT, y, width, y);
      pen.fillText(String(Number(value.toFixed(3))), LEFT - 6, y);
    }
    pen.textBaseline = 'bottom';
    const step = width < 480 ? 20 : 10;
    for (let back = 0; back <= SPAN_S; back += step) {
      const x = LEFT + (1 - back / SPAN_S) * (width - LEFT);
      pen.textAlign = back === 0 ? 'right' : back === SPAN_S ? 'left' : 'center';
      pen.fillText(back === 0 ? 'now' : `−${back} s`, x, height);
    }
  }

  drawBand(pen, colour, x) {
    pen.fillStyle = colour('band');
    const y = this.y(0) - BAND;
    this.frames.forEach((frame, index) => {
      const next = this.frames[index + 1];
      if (frame.busy && next && next.time_s - frame.time_s < GAP_S) {
        pen.fillRect(x(frame.time_s), y, x(next.time_s) - x(frame.time_s) + 0.5, BAND);
      }
    });
  }

  drawCurve(pen, colour, x) {
    pen.strokeStyle = colour('curve');
    pen.lineWidth = 1.75;
    pen.lineJoin = 'round';
    pen.beginPath();
    let before = null;
    for (const frame of this.frames) {
      const joins = before !== null && frame.time_s - before < GAP_S;
      if (frame.deviation !== null) {
        pen[joins ? 'lineTo' : 'moveTo'](x(frame.time_s), this.y(frame.deviation));
      }
      before = frame.deviation === null ? null : frame.time_s;
    }
    pen.stroke();
  }

  drawKeyFrames(pen, colour, x) {
    pen.fillStyle = pen.strokeStyle = colour('key');
    pen.lineWidth = 1;
    for (const frame of this.frames) {
      if (!frame.key_frame) continue;
      const y = this.y(frame.deviation ?? 0);  // one that is computed in full has no deviation
      pen.globalAlpha = 0.35;
      line(pen, x(frame.time_s), this.y(0), x(frame.time_s), y);
      pen.globalAlpha = 1;
      pen.beginPath();
      pen.arc(x(frame.time_s), y, 3.2, 0, 2 * Math.PI);
      pen.fill();
    }
  }
}

function line(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}
