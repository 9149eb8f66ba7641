# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The page of ``lvs watch`` in a browser, with a node and a camera in processes of their own."""

import contextlib
import http.server
import pathlib
import re
import subprocess
import sys
import threading
from typing import Iterator

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('tornado', reason='tornado is not installed')

from browser import Browser, opened  # noqa: E402
from node_rig import Peer  # noqa: E402
from rcl_interfaces.srv import GetParameters  # noqa: E402

ARROW_UP, ENTER = '\ue013', '\ue007'
SHOWN = 'Number(document.getElementById("threshold").getAttribute("aria-valuenow"))'
# The line is set on its way, too: what counts is the answer to where it is now.
ANSWERED = f'Number(document.getElementById("answer").textContent.split(" has ")[1]) === {SHOWN}'


@pytest.fixture
def browser() -> Iterator[Browser]:
    with opened() as browser:
        yield browser


@contextlib.contextmanager
def program(*words: str) -> Iterator['subprocess.Popen[str]']:
    with subprocess.Popen([sys.executable, '-m', *words], stdout=subprocess.PIPE, text=True
                          ) as process:
        try:
            yield process
        finally:
            process.terminate()


def node(model: pathlib.Path, threshold: float) -> contextlib.AbstractContextManager[
        'subprocess.Popen[str]']:
    return program('lvs_ros.node.executable', '--ros-args', '-p', f'model:={model}', '-p',
                   f'threshold:={threshold}', '-p', 'cpu_threads:=1', '-p',
                   'warm_up_size:=[64, 48]')


@contextlib.contextmanager
def foreign_site() -> Iterator[str]:
    # With threads: a browser opens connections in advance, and one would wait for its request.
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}/'
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_line_is_dragged_and_the_node_follows(
        browser: Browser, ros_domain: int, tiny_model: pathlib.Path) -> None:
    peer = Peer()
    peer.close_camera()

    def threshold() -> float:
        request = GetParameters.Request(names=['threshold'])
        response = peer.call(GetParameters, '/lvs/get_parameters', request)
        return float(response.values[0].double_value)

    with contextlib.ExitStack() as stack:
        stack.callback(peer.close)
        stack.enter_context(program('lvs_ros.tools.cli', 'street', '--size', '64x48'))
        watch = stack.enter_context(program('lvs_ros.tools.cli', 'watch', '--port', '0'))
        assert watch.stdout is not None
        address = watch.stdout.readline().split()[0]
        with node(tiny_model, 0.5) as first:
            browser.open(address)
            browser.wait_for(f'{SHOWN} === 0.5')
            browser.wait_for('document.getElementById("picture").width === 64')
            browser.wait_for('document.getElementById("p99").textContent.endsWith(" ms")')

            browser.drag('#threshold', up=30)
            browser.wait_for(ANSWERED)
            dragged = threshold()
            assert 0.5 < dragged == browser.wait_for(SHOWN) <= 1
            browser.type('#threshold', ARROW_UP)
            browser.wait_for(f'{SHOWN} > {dragged}')
            browser.wait_for(ANSWERED)
            chosen = threshold()
            assert chosen == pytest.approx(dragged + 0.01)

            browser.run('document.getElementById("number").value = ""')
            browser.type('#number', '2' + ENTER)
            browser.wait_for('document.querySelector("#answer.refused")')
            assert re.search('threshold.*2.0', browser.text('#answer'))
            assert threshold() == chosen
            assert browser.messages() == [], 'no error, nothing that the policy forbids'

            with foreign_site() as site:
                browser.open(site)
                socket = re.sub('^http(.*?)/#.*', r'ws\1/socket', address)
                assert browser.run(f"""return new Promise((done) => {{
                    const socket = new WebSocket('{socket}');
                    socket.onopen = () => done('open');
                    socket.onclose = () => done('refused');
                }})""") == 'refused'
            assert threshold() == chosen

            browser.open(address)
            browser.wait_for(f'{SHOWN} === {chosen}')
            first.kill()
        browser.wait_for('document.getElementById("level").textContent === "GONE"')
        with node(tiny_model, 0.75):
            browser.wait_for('document.getElementById("level").textContent !== "GONE"')
            browser.wait_for(f'{SHOWN} === 0.75')

            browser.open(address.partition('#')[0])    # without the token
            browser.wait_for(f'{SHOWN} === 0.75')
            browser.drag('#threshold', up=30)
            browser.wait_for('document.getElementById("notice").textContent.includes("token")')
            assert browser.run('return document.querySelector("#form button").disabled')
            assert threshold() == 0.75
