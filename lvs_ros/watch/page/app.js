// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0

/** The page of `lvs watch`: what comes from the server goes to its parts. */

import {Chart} from './chart.js';
import {Connection} from './connection.js';
import {showCondition, showFrames, showLegend, showShares} from './panels.js';
import {Threshold} from './threshold.js';

const element = (id) => document.getElementById(id);
// Behind the #, which no browser sends anywhere.
const address = new URLSearchParams(location.hash.slice(1));
const nodes = element('nodes'), wantsPicture = element('wants-picture');
let chosen = address.get('node');
let known = [];
let nowS = 0, heardMs = 0;  // the server's clock, and when it was heard on this page's

const chart = new Chart(element('curve'));
const threshold = new Threshold(chart, (value) => connection.set(value), draw);
threshold.allow(false);
const connection = new Connection(address.get('token') ?? '', {update, picture, state});
connection.node = chosen;
showLegend([], '');

function state(connected) {
  element('connection').textContent = connected ? 'connected' : 'no connection to lvs watch: trying again';
  element('connection').classList.toggle('lost', !connected);
  if (!connected) document.body.classList.add('gone');
}

function update(news) {
  nowS = news.now_s;
  heardMs = performance.now();
  if (news.hello) greet(news.hello);
  if (news.nodes) offer(news.nodes);
  if (news.settings) {
    threshold.follow(news.settings.threshold);
    showLegend(news.settings.classes, news.settings.classes_problem);
  }
  if (news.shares) showShares(news.shares);
  if (news.frames) take(news.frames);
  if (news.answer) threshold.answer(news.answer);
  if (news.condition) showCondition(news.condition);
  draw();
}

function greet({problem}) {
  threshold.allow(problem === null);
  element('notice').hidden = problem === null;
  element('notice').textContent = `Read-only: ${problem}.`;
}

/** Offer the nodes; one that was chosen stays, though it may be gone. */
function offer(names) {
  known = names;
  if (chosen === null && names.length) choose(names[0]);
  const all = chosen === null || names.includes(chosen) ? names : [...names, chosen];
  nodes.replaceChildren(...all.map((name) => {
    const gone = names.includes(name) ? '' : ' (not there)';
    return new Option(name + gone, name, false, name === chosen);
  }));
  nodes.disabled = !all.length;
  if (!all.length) {
    nodes.append(new Option('none yet'));
    showNothing('waiting for a segmentation node: none is running and active in this ROS domain');
  } else if (!names.includes(chosen)) {
    showNothing(`${chosen} is not there: not running, not configured, or in another ROS domain`);
  }
}

function showNothing(message) {
  element('level').textContent = element('level').dataset.level = 'GONE';
  element('message').textContent = message;
  document.body.classList.add('gone');
}

function choose(name) {
  chosen = name;
  address.set('node', name);
  history.replaceState(null, '', `#${address}`);
  chart.clear();
  threshold.forget();
  showLegend([], '');
  showFrames([]);
  hidePicture('no overlay has come yet');
  connection.show(name, wantsPicture.checked);
}

function take(frames) {
  chart.add(frames);
  const last = frames.at(-1);
  threshold.follow(last.threshold);
  showFrames(chart.frames);
  const unused = !['low_latency', 'adaptive'].includes(last.schedule);
  element('deviation-title').firstChild.textContent = unused
    ? `The schedule ${last.schedule} uses no threshold ` : 'Predicted deviation ';
}

function draw() {
  chart.draw(nowS + (performance.now() - heardMs) / 1000, threshold.value);
  threshold.place();
}

async function picture(blob) {
  const image = await createImageBitmap(blob);
  const canvas = element('picture');
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  canvas.getContext('2d').drawImage(image, 0, 0);
  image.close();
  element('no-picture').hidden = true;
}

function hidePicture(text) {
  element('no-picture').textContent = text;
  element('no-picture').hidden = false;
  const canvas = element('picture');
  canvas.getContext('2d').clearRect(0, 0, canvas.width, canvas.height);
}

nodes.addEventListener('change', () => choose(nodes.value));
wantsPicture.addEventListener('change', () => {
  if (!wantsPicture.checked) {
    hidePicture('not shown');
    showShares(null);
  }
  connection.show(chosen, wantsPicture.checked);
});
window.addEventListener('hashchange', () => location.reload());  // the address with the token was typed in
new ResizeObserver(draw).observe(element('chart'));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
