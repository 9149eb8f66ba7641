# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The server of ``lvs watch``: who may read and who may change, and what a page is told."""

import asyncio
import contextlib
import http.client
import math
import socket
import threading
from typing import Any, Callable, Iterator, Mapping

import numpy as np
import pytest

pytest.importorskip('tornado', reason='tornado is not installed')

from safetensors.numpy import save_file  # noqa: E402
from tornado.httpclient import HTTPClientError  # noqa: E402
from watch_client import Page, served  # noqa: E402

from lvs_ros.errors import ConfigurationError, ModelFileError  # noqa: E402
from lvs_ros.labels import load_label_set  # noqa: E402
from lvs_ros.tools.cli import main  # noqa: E402
from lvs_ros.tools.watch import address  # noqa: E402
from lvs_ros.watch import page_socket, picture, values  # noqa: E402
from lvs_ros.watch.access import Access  # noqa: E402
from lvs_ros.watch.legend import label_set_of  # noqa: E402
from lvs_ros.watch.life import Life  # noqa: E402
from lvs_ros.watch.server import listen  # noqa: E402
from lvs_ros.watch.source import News  # noqa: E402

FOREIGN = 'http://evil.example'


class MadeUpNodes:
    """Nodes that do what a test says."""

    def __init__(self, *nodes: str) -> None:
        self._nodes = list(nodes)
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self.shown: list[dict[str, bool]] = []
        self.thresholds: dict[str, float] = {}

    async def run(self, tell: Callable[[News], None]) -> None:
        loop = asyncio.get_running_loop()
        self.tell = lambda *news: loop.call_soon_threadsafe(tell, News(*news))
        tell(News('', 'nodes', self._nodes))
        await asyncio.to_thread(self._ended.wait)

    def end(self) -> None:
        self._ended.set()

    def show(self, nodes: Mapping[str, bool]) -> None:
        with self._changed:
            self.shown.append(dict(nodes))
            self._changed.notify_all()

    async def until_shown(self, nodes: Mapping[str, bool]) -> None:
        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: self.shown[-1:] == [nodes], 60)

        assert await asyncio.to_thread(wait), self.shown

    async def set_threshold(self, node: str, threshold: float) -> str | None:
        if threshold > 1:
            return f'threshold {threshold}: expected 0 to 1'
        self.thresholds[node] = threshold
        return None


@contextlib.contextmanager
def server(*nodes: str, host: str = '127.0.0.1', read_only: bool = False
           ) -> Iterator[tuple[MadeUpNodes, Access, int]]:
    source, access = MadeUpNodes(*nodes), Access(host, read_only=read_only)
    with served(source, access) as port:
        yield source, access, port


def get(port: int, path: str = '/', **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection('127.0.0.1', port)
    with contextlib.closing(connection):
        connection.request('GET', path, headers={'Host': f'127.0.0.1:{port}', **headers})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def test_the_page_needs_nothing_from_elsewhere() -> None:
    with server() as (_, access, port):
        status, headers, body = get(port)
        names = {line.split(b'"')[1].decode() for line in body.split(b'src=')[1:]}
        files = {name: get(port, f'/{name}') for name in names | {'style.css', 'chart.js'}}
        refused = [get(port, path)[0] for path in (
            '/none.js', '/../server.py', '/%2e%2e/server.py', '/page/app.js', '//etc/passwd')]
    assert status == 200 and headers['Content-Type'].startswith('text/html')
    assert names == {'app.js'} and all(file[0] == 200 for file in files.values())
    assert refused == [404] * 5
    assert access.token is not None
    for _, told, content in [(status, headers, body), *files.values()]:
        policy = told['Content-Security-Policy']
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "'unsafe" not in policy and 'http' not in policy
        assert told['Referrer-Policy'] == 'no-referrer'
        assert b'https:' not in content and access.token.encode() not in content


@pytest.mark.parametrize('host, given, is_ours', [
    ('127.0.0.1', '127.0.0.1:8650', True), ('127.0.0.1', 'localhost:8650', True),
    # as ssh -L forwards it
    ('127.0.0.1', 'localhost:9000', True), ('127.0.0.1', '[::1]:8650', True),
    ('127.0.0.1', 'evil.example:8650', False), ('127.0.0.1', '127.0.0.1.evil.example', False),
    ('127.0.0.1', '192.0.2.7:8650', False), ('127.0.0.1', '', False), ('127.0.0.1', None, False),
    ('127.0.0.1', 'localhost:port', False), ('127.0.0.1', '[::1', False),
    ('192.0.2.7', '192.0.2.7:8650', True), ('192.0.2.7', 'localhost', False),
    ('192.0.2.7', socket.gethostname(), True),
    ('0.0.0.0', '192.0.2.7:8650', True), ('0.0.0.0', '[2001:db8::1]:8650', True),
    ('0.0.0.0', 'evil.example', False), ('0.0.0.0', 'LOCALHOST', True)])
def test_only_names_of_this_server_are_answered(host: str, given: str | None, is_ours: bool
                                                ) -> None:
    assert (Access(host).host_problem(given) is None) == is_ours


def test_a_name_that_was_made_to_point_here_reads_nothing() -> None:
    with server('/lvs') as (source, _, port):
        status, _, body = get(port, Host='evil.example')
        assert status == 403 and b'evil.example' in body and b'<html' not in body

        async def open_socket() -> None:
            # a page of that name is of one origin with it
            with pytest.raises(HTTPClientError, match='403'):
                await Page.open(port, host=f'evil.example:{port}')

        asyncio.run(open_socket())
    assert source.shown == []


@pytest.mark.parametrize('origin', [
    FOREIGN, 'null', '', 'http://127.0.0.1:1', 'http://localhost', 'https://127.0.0.1:{port}',
    'http://127.0.0.1:{port}.evil.example'])
def test_a_foreign_page_opens_no_socket(origin: str) -> None:
    with server('/lvs') as (source, _, port):
        async def open_socket() -> None:
            with pytest.raises(HTTPClientError, match='403'):
                await Page.open(port, origin=origin.format(port=port))

        asyncio.run(open_socket())
    assert source.shown == [] and source.thresholds == {}


def test_a_program_without_an_origin_opens_no_socket() -> None:
    with server() as (_, _, port):
        assert get(port, '/socket', Upgrade='websocket', Connection='Upgrade',
                   **{'Sec-WebSocket-Version': '13',
                      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ=='})[0] == 403


def test_only_the_token_changes_a_node() -> None:
    with server('/front/lvs', '/rear/lvs') as (source, access, port):
        assert access.token is not None
        token = access.token

        async def tune() -> None:
            page = await Page.open(port)
            await page.send('hello', token=token)
            await page.until(lambda: 'hello' in page.values)
            assert page.values['hello']['problem'] is None
            assert page.values['nodes'] == ['/front/lvs', '/rear/lvs']
            assert 'choose a node' in str(await page.set(0.1, access.token))
            await page.show('/rear/lvs')
            for wrong in ('', None, 'x' * len(token), token[:-1], 7, 'ä'):
                assert 'token' in str(await page.set(0.1, wrong))
            assert source.thresholds == {}
            assert await page.set(0.25, access.token) is None
            assert source.thresholds == {'/rear/lvs': 0.25}
            # the node's own words
            assert await page.set(2, access.token) == 'threshold 2.0: expected 0 to 1'

        asyncio.run(tune())


def test_read_only_has_no_token() -> None:
    with server('/lvs', read_only=True) as (source, access, port):
        async def tune() -> None:
            page = await Page.open(port)
            await page.send('hello', token='')
            await page.until(lambda: 'hello' in page.values)
            assert '--read-only' in page.values['hello']['problem']
            await page.show('/lvs')
            for token in ('', None, 'None'):
                assert '--read-only' in str(await page.set(0.1, token))

        asyncio.run(tune())
    assert source.thresholds == {}
    assert '#' not in address('127.0.0.1', port, access)


@pytest.mark.parametrize('message', ['', '[]', '{}', '{"type": "run"}', '{"type": ["ack"]}',
                                     '{"type": "show", "node": 1, "picture": true}',
                                     '{"type": "set", "number": 1, "token": "", "threshold": "1"}',
                                     '{"type": "set", "number": 1, "token": "", "threshold": NaN}',
                                     '{"type": "set", "number": 1, "token": "", "threshold": 1'
                                     + '0' * 400 + '}',
                                     '[' * 2000, 'x' * 5000])
def test_a_malformed_message_ends_that_connection(message: str) -> None:
    with server('/lvs') as (_, _, port):
        async def send() -> None:
            page, other = await Page.open(port), await Page.open(port)
            await page._socket.write_message(message)
            code, _ = await page.closed()
            # 1009: too long, which Tornado tells by cutting it off
            assert code == 1007 or len(message) > 4096 and code in (1009, None)
            await other.until(lambda: other.values.get('nodes'))

        asyncio.run(send())


def test_nothing_is_asked_for_while_nobody_looks() -> None:
    with server('/front/lvs', '/rear/lvs') as (source, _, port):
        async def look() -> None:
            first, second = await Page.open(port), await Page.open(port)
            await first.until(lambda: 'nodes' in first.values)
            await first.show('/nobody')
            await first.show('/front/lvs', picture=False)
            await source.until_shown({'/front/lvs': False})
            await second.show('/front/lvs')
            await source.until_shown({'/front/lvs': True})
            await first.show('/rear/lvs')
            await source.until_shown({'/front/lvs': True, '/rear/lvs': True})
            await second.show(None)    # it is hidden
            await source.until_shown({'/rear/lvs': True})
            first.close()
            await source.until_shown({})

        asyncio.run(look())
        assert source.shown[0] == {'/front/lvs': False}


def test_a_node_that_comes_later_is_shown_then() -> None:
    with server() as (source, _, port):
        async def look() -> None:
            page = await Page.open(port)
            await page.show('/lvs')
            await page.until(lambda: page.values.get('nodes') == [])
            source.tell('', 'nodes', ['/lvs'])
            await source.until_shown({'/lvs': True})

        asyncio.run(look())


def test_each_page_gets_its_node() -> None:
    with server('/front/lvs', '/rear/lvs') as (source, _, port):
        async def look() -> None:
            front, rear = await Page.open(port), await Page.open(port)
            await front.show('/front/lvs')
            await rear.show('/rear/lvs', picture=False)
            await source.until_shown({'/front/lvs': True, '/rear/lvs': False})
            for node in ('/front/lvs', '/rear/lvs', '/gone/lvs'):
                source.tell(node, 'settings', {'of': node})
                source.tell(node, 'frame', {'time_s': 1.0, 'of': node})
                source.tell(node, 'picture', node.encode())
            await front.until(lambda: front.pictures and front.frames)
            await rear.until(lambda: rear.frames)
            assert front.pictures == [b'/front/lvs'] and rear.pictures == []
            assert [frame['of'] for frame in front.frames] == ['/front/lvs']
            assert [frame['of'] for frame in rear.frames] == ['/rear/lvs']
            assert rear.values['settings'] == {'of': '/rear/lvs'}
            # what the node said before is not lost on one who comes later
            late = await Page.open(port)
            await late.show('/rear/lvs')
            await late.until(lambda: 'settings' in late.values)

        asyncio.run(look())


def test_a_slow_page_gets_every_frame_and_only_the_newest_picture() -> None:
    with server('/lvs') as (source, _, port):
        async def look() -> None:
            page, other = await Page.open(port), await Page.open(port)
            for one in (page, other):
                await one.show('/lvs')
                await one.send('hello', token='')
                await one.until(lambda: 'hello' in one.values)
            page.values.clear()
            await page.until(lambda: page.values, acknowledge=False)
            for number in range(50):
                source.tell('/lvs', 'frame', {'number': number})
                source.tell('/lvs', 'picture', bytes([number]))
            await other.until(lambda: other.pictures[-1:] == [bytes([49])])
            await page.send('ack')
            await page.until(lambda: page.pictures)
            assert [frame['number'] for frame in page.frames] == list(range(50))
            assert page.pictures == [bytes([49])]

        asyncio.run(look())


def test_no_node_works_for_a_page_that_acknowledges_nothing(monkeypatch: pytest.MonkeyPatch
                                                            ) -> None:
    monkeypatch.setattr(page_socket, 'LOOKS_WITHIN_S', 0.3)
    with server('/lvs') as (source, _, port):
        async def look() -> None:
            page, other = await Page.open(port), await Page.open(port)
            await page.show('/lvs')
            await other.show('/lvs', picture=False)
            await source.until_shown({'/lvs': True})
            # the client answers pings meanwhile, as a browser does
            await other.until(lambda: source.shown[-1:] == [{'/lvs': False}])
            assert page._socket.close_code == 1008

        asyncio.run(look())


def test_pages_are_told_the_end() -> None:
    with server('/lvs') as (source, _, port):
        async def wait() -> None:
            page = await Page.open(port)
            await page.until(lambda: page.values)
            source.end()
            assert await page.closed() == (1001, 'lvs watch has ended')

        asyncio.run(wait())


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        assert main(['watch', '--port', str(port)]) == 2
    assert f'port {port}' in capsys.readouterr().err
    assert main(['watch', '--port', '65536']) == 2
    for host in ('192.0.2.1', 'a..b', 'a' * 70):    # the latter two cannot be names
        with pytest.raises(ConfigurationError, match=host):
            listen(host, 0)


def test_the_address_has_the_token_where_no_request_carries_it() -> None:
    access = Access('127.0.0.1')
    assert address('127.0.0.1', 8650, access) == f'http://127.0.0.1:8650/#token={access.token}'
    assert address('::1', 8650, access).startswith('http://[::1]:8650/#')
    assert address('0.0.0.0', 1, access).startswith(f'http://{socket.gethostname()}:1/#')
    assert access.token != Access('127.0.0.1').token
    assert access.token is not None and len(access.token) >= 32


def test_a_silent_node_is_told_from_one_whose_diagnostics_are_rare() -> None:
    quick, rare = Life(100.0), Life(100.0)
    rare.period_s = 10.0
    assert quick.silence(102.9) is None
    assert 'nothing has come' in str(quick.silence(103.1))
    assert rare.silence(124.9) is None and rare.silence(125.1) is not None
    quick.heard(104.0)
    assert quick.silence(106.9) is None and quick.silence(107.1) is not None


def test_shares_are_of_all_pixels() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 3
    mask[:16] = 255
    assert picture.shares(mask) == [0.375, 0, 0, 0.375]
    assert picture.shares(np.full((8, 8), 255, np.uint8)) == []


def test_a_picture_is_not_larger_than_a_page() -> None:
    cv2 = pytest.importorskip('cv2')
    image = np.zeros((1024, 2048, 3), np.uint8)
    image[..., 0] = 200
    decoded = cv2.imdecode(np.frombuffer(picture.jpeg(image), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (640, 1280, 3)
    np.testing.assert_allclose(decoded[0, 0], [0, 0, 200], atol=3)    # BGR


def test_what_is_not_known_is_null() -> None:
    told: dict[str, Any] = values.condition_value('OK', 'good', {
        'latency p50 (ms)': '12.5', 'latency p99 (ms)': 'n/a', 'frames lost before the node':
        'not known (the middleware numbers no messages)', 'malformed images': '2'})
    assert told['latency_ms'] == {'p50': 12.5, 'p99': None, 'max': None}
    assert told['drops'] == {'lost or overtaken': None, 'malformed': 2, 'failed': None}
    assert values.finite(math.nan) is values.finite(math.inf) is values.finite(None) is None


def test_the_classes_are_those_of_the_model(tmp_path: Any) -> None:
    camvid = load_label_set('camvid')
    assert label_set_of('lite_camvid', '') == camvid
    told = values.settings_value(0.1, 'low_latency', camvid)
    assert told['classes'][0] == {'name': 'sky', 'colour': '#808080'}
    with pytest.raises(ModelFileError, match='run lvs watch on the computer of the node'):
        label_set_of(str(tmp_path / 'not_here.safetensors'), '')
    (tmp_path / 'damaged.safetensors').write_bytes(b'no model')
    save_file({'x': np.zeros(1)}, tmp_path / 'damaged_too.safetensors', {'config': '[]'})
    for name in ('damaged.safetensors', 'damaged_too.safetensors'):
        with pytest.raises(ModelFileError, match=name):
            label_set_of(str(tmp_path / name), '')
