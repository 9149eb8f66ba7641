# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven by chromedriver over the WebDriver protocol (W3C)."""

import base64
import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
from typing import Any, Iterator
import urllib.error
import urllib.request

import pytest

TIMEOUT_S = 60
_SWITCHES = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
             '--disable-background-networking', '--disable-component-update', '--disable-sync',
             '--hide-scrollbars']
_READY = 'started successfully on port '
_ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'    # WebDriver's key of an element's reference


class Browser:
    """One window; see https://www.w3.org/TR/webdriver2/ for the commands."""

    def __init__(self, port: int, profile: str) -> None:
        self._address = f'http://127.0.0.1:{port}/session'
        options = {'binary': chromium(), 'args': [*_SWITCHES, f'--user-data-dir={profile}']}
        session = self._send('', {'capabilities': {'alwaysMatch': {
            'goog:chromeOptions': options, 'goog:loggingPrefs': {'browser': 'ALL'}}}})
        self._address += f'/{session["sessionId"]}'

    def open(self, address: str) -> None:
        """Open a page, anew where only what stands behind its # differs."""
        self._send('/url', {'url': 'about:blank'})
        self._send('/url', {'url': address})

    def run(self, script: str) -> Any:
        """Return what JavaScript returns, or what the promise that it returns is resolved to."""
        return self._send('/execute/sync', {'script': script, 'args': []})

    def wait_for(self, script: str) -> Any:
        """Wait until an expression in JavaScript is true; return its value."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while not (value := self.run(f'return {script}')):
            assert time.monotonic() < deadline_s, f'{script}: waited in vain; {self.messages()}'
            time.sleep(0.05)
        return value

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return str(self.run(f'return document.querySelector({json.dumps(selector)}).textContent'))

    def drag(self, selector: str, *, up: int) -> None:
        """Take hold of an element in its middle and drag it upwards, CSS pixels."""
        def move(x: int, y: int, origin: Any) -> dict[str, Any]:
            return {'type': 'pointerMove', 'duration': 50, 'x': x, 'y': y, 'origin': origin}

        moves = [move(0, 0, {_ELEMENT: self._find(selector)}),
                 {'type': 'pointerDown', 'button': 0},
                 move(0, -(up // 2), 'pointer'), move(0, -(up - up // 2), 'pointer'),
                 {'type': 'pointerUp', 'button': 0}]
        self._send('/actions', {'actions': [
            {'type': 'pointer', 'id': 'mouse', 'parameters': {'pointerType': 'mouse'},
             'actions': moves}]})

    def type(self, selector: str, keys: str) -> None:
        """Give an element the focus and type; the codes of keys are in the standard, 17.4.2."""
        self._send(f'/element/{self._find(selector)}/value', {'text': keys})

    def command(self, name: str, **parameters: Any) -> Any:
        """Call a method of the Chrome DevTools Protocol."""
        return self._send('/goog/cdp/execute', {'cmd': name, 'params': parameters})

    def screenshot(self, path: pathlib.Path) -> None:
        """Write what is seen to a PNG file."""
        path.write_bytes(base64.b64decode(self._send('/screenshot')))

    def messages(self) -> list[str]:
        """Return what stands in the console since it was last asked for."""
        return [entry['message'] for entry in self._send('/se/log', {'type': 'browser'})]

    def close(self) -> None:
        """End the browser."""
        self._send('', method='DELETE')

    def _find(self, selector: str) -> str:
        found = self._send('/element', {'using': 'css selector', 'value': selector})
        return str(found[_ELEMENT])

    def _send(self, path: str, content: Any = None, method: str | None = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(
            self._address + path, body, {'Content-Type': 'application/json'}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                return json.load(response)['value']
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error


def chromium() -> str | None:
    """Return the program, or None."""
    return shutil.which('chromium') or shutil.which('google-chrome')


@contextlib.contextmanager
def opened() -> Iterator[Browser]:
    """Run a browser with a new profile, or skip the test where there is none."""
    driver = shutil.which('chromedriver')
    if driver is None or chromium() is None:
        pytest.skip('Chromium and chromedriver are not installed '
                    '(Debian: apt install chromium chromium-driver)')
    with tempfile.TemporaryDirectory() as profile, subprocess.Popen(
            [driver, '--port=0'], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if _READY in line)
            browser = Browser(int(line.split(_READY)[1].rstrip('.\n')), profile)
            try:
                yield browser
            finally:
                browser.close()
        finally:
            process.terminate()
