// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0

/** The web socket: opened again and again, told what the page shows, silent while nobody looks. */

const AGAIN_MS = 1000;
const SILENT_MS = 5000;  // the server sends something every second

export class Connection {
  /**
   * @param {string} token What allows changes; '' where there is none.
   * @param {{update: function(Object), picture: function(Blob), state: function(boolean)}} listeners
   *   Told what has come, and whether there is a connection.
   */
  constructor(token, listeners) {
    this.token = token;
    this.listeners = listeners;
    this.node = null;
    this.wantsPicture = true;
    this.number = 0;
    document.addEventListener('visibilitychange', () => this.show(this.node, this.wantsPicture));
    this.open();
  }

  open() {
    const socket = new WebSocket(`ws://${location.host}/socket`);
    this.socket = socket;
    socket.binaryType = 'blob';
    let timer;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(lost, SILENT_MS);
    };
    const lost = () => {
      clearTimeout(timer);
      if (this.socket !== socket) return;
      this.socket = null;
      socket.close();
      this.listeners.state(false);
      setTimeout(() => this.open(), AGAIN_MS);
    };
    socket.onopen = () => {
      this.send({type: 'hello', token: this.token});
      this.show(this.node, this.wantsPicture);
    };
    socket.onmessage = async (event) => {
      heard();
      try {
        if (typeof event.data === 'string') {
          this.listeners.state(true);
          this.listeners.update(JSON.parse(event.data));
        } else {
          await this.listeners.picture(event.data);
        }
      } finally {
        this.send({type: 'ack'});  // only now the next one is sent
      }
    };
    socket.onclose = lost;
    heard();
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Show a node from now on; while the page is hidden, none. */
  show(node, wantsPicture) {
    this.node = node;
    this.wantsPicture = wantsPicture;
    this.send({type: 'show', node: document.hidden ? null : node, picture: wantsPicture});
  }

  /** Ask for a threshold; return the number that the answer will have. */
  set(threshold) {
    this.number += 1;
    this.send({type: 'set', threshold, token: this.token, number: this.number});
    return this.number;
  }
}
