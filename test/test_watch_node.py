# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs watch`` and a node over DDS: what it subscribes to, and what a page can do."""

import asyncio
import contextlib
import pathlib
import threading
from typing import Any, Iterator

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('tornado', reason='tornado is not installed')

import rclpy  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from node_rig import SECOND, Rig, image_message, picture, wait_until  # noqa: E402
from rcl_interfaces.msg import ParameterType, ParameterValue  # noqa: E402
from rcl_interfaces.srv import GetParameters, SetParameters  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.signals import SignalHandlerOptions  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from tornado.httpclient import HTTPClientError  # noqa: E402
from watch_client import Page, served  # noqa: E402

from lvs_ros.msg import FrameStatus  # noqa: E402
from lvs_ros.tool_nodes.watch_node import WatchNode  # noqa: E402
from lvs_ros.watch.access import Access  # noqa: E402


def subscribed_to(rig: Rig) -> set[str]:
    """Return what the watcher subscribes to, as the node sees it."""
    assert 'lvs_watch' in rig.node.get_node_names()
    topics = rig.node.get_subscriber_names_and_types_by_node('lvs_watch', '/')
    return {topic for topic, _ in topics}


def threshold_of(rig: Rig) -> float:
    return float(rig.node.get_parameter('threshold').value)


def test_a_page_watches_and_sets_a_node(ros_domain: int, tiny_model: pathlib.Path) -> None:
    rig = Rig(tiny_model, threshold=0.5)
    access = Access('127.0.0.1')

    async def watch(port: int) -> None:
        wait_until(lambda: 'lvs_watch' in rig.node.get_node_names())
        page = await Page.open(port)
        await page.until(lambda: page.values.get('nodes') == ['/lvs'])
        assert subscribed_to(rig) == set(), 'a page is open, but shows no node'

        await page.show('/lvs')
        await page.until(lambda: 'settings' in page.values)
        assert page.values['settings']['threshold'] == 0.5
        assert [one['name'] for one in page.values['settings']['classes']][:2] == [
            'sky', 'building']
        rig.connect('/lvs/overlay')
        _, status = rig.send(image_message(picture()))
        _, second = rig.send(image_message(picture(1), stamp_ns=2 * SECOND))
        await page.until(lambda: len(page.frames) == 2 and page.pictures
                         and 'shares' in page.values and 'condition' in page.values)
        assert status.key_frame and page.frames[0]['key_frame']
        assert page.frames[1]['deviation'] == pytest.approx(second.deviation, abs=1e-6)
        assert page.pictures[0].startswith(b'\xff\xd8')
        assert sum(page.values['shares']) == pytest.approx(1, abs=0.01)
        await page.until(lambda: page.values['condition']['received'] == 2)
        assert page.values['condition']['drops'] == {
            'lost or overtaken': 0, 'malformed': 0, 'failed': 0}
        assert page.values['condition']['window_s'] == 10

        assert await page.set(0.25, access.token) is None
        assert threshold_of(rig) == 0.25
        refusal = await page.set(2, access.token)
        assert refusal is not None and 'threshold' in refusal and '2.0' in refusal
        assert 'token' in str(await page.set(0.1, 'a guess'))
        with pytest.raises(HTTPClientError, match='403'):
            await Page.open(port, origin='http://evil.example')
        assert threshold_of(rig) == 0.25

        await page.show('/lvs', picture=False)
        wait_until(lambda: subscribed_to(rig) == {'/lvs/status', '/diagnostics'})
        await page.show(None)    # it is hidden
        wait_until(lambda: subscribed_to(rig) == set())

        await page.show('/lvs')
        rig.close()
        await page.until(lambda: page.values['nodes'] == [])
        assert await page.set(0.3, access.token) is not None
        page.values.clear()
        again = Rig(tiny_model, threshold=0.75)
        await page.until(lambda: 'settings' in page.values)
        assert page.values['settings']['threshold'] == 0.75
        assert await page.set(0.3, access.token) is None
        assert threshold_of(again) == 0.3
        page.close()
        wait_until(lambda: subscribed_to(again) == set())
        again.close()

    with WatchNode() as source, served(source, access) as port:
        asyncio.run(watch(port))


@contextlib.contextmanager
def odd_node(name: str, answers: 'list[GetParameters.Response]') -> Iterator[list[str]]:
    """Be a node with the topics of ours, other contents and parameters; the value is what came."""
    asked: list[str] = []

    def answer(request: Any, response: Any) -> Any:
        asked.append('get')
        return answers[min(len(asked), len(answers)) - 1]

    def refuse(request: Any, response: Any) -> Any:
        return response    # without a result

    def speak() -> None:
        diagnostics.publish(DiagnosticArray(status=[
            DiagnosticStatus(name=f'{name}: segmentation', hardware_id=name)]))
        for publisher, encoding, channels in ((overlay, 'mono8', 1), (mask, 'rgb8', 3)):
            publisher.publish(Image(height=4, width=4, encoding=encoding, step=4 * channels,
                                    data=bytes(16 * channels)))

    context = Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = Node(name, context=context, start_parameter_services=False)
    node.create_publisher(FrameStatus, '~/status', 10)
    diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
    overlay = node.create_publisher(Image, '~/overlay', 1)
    mask = node.create_publisher(Image, '~/mask', 1)
    node.create_timer(0.1, speak)
    node.create_service(GetParameters, '~/get_parameters', answer)
    node.create_service(SetParameters, '~/set_parameters', refuse)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    try:
        yield asked
    finally:
        executor.shutdown()
        context.shutdown()
        thread.join()


def test_a_node_of_another_kind_does_not_end_the_server(ros_domain: int) -> None:
    texts = GetParameters.Response(values=[
        ParameterValue(type=ParameterType.PARAMETER_STRING, string_value='odd')] * 5)
    access = Access('127.0.0.1')

    async def watch(port: int) -> None:
        page = await Page.open(port)
        await page.until(lambda: page.values.get('nodes') == ['/odd'])
        await page.show('/odd')
        # it goes on to ask
        await page.until(lambda: len(asked) >= 3 and 'condition' in page.values)
        assert not page.pictures and not page.values.keys() & {'settings', 'shares'}
        assert 'no result' in str(await page.set(0.5, access.token))
        page.close()

    with odd_node('odd', [GetParameters.Response(), texts]) as asked, \
            WatchNode() as source, served(source, access) as port:
        asyncio.run(watch(port))


def test_an_answer_that_nobody_waits_for_any_more_ends_nothing(ros_domain: int) -> None:
    async def give_up(source: WatchNode) -> None:
        running = asyncio.create_task(source.run(lambda news: None))
        await asyncio.sleep(0)
        # As for a page that is closed before the node's thread comes to what it asked.
        block = threading.Event()
        source._executor.create_task(block.wait)
        asked = asyncio.create_task(source.set_threshold('/nobody', 0.5))
        await asyncio.sleep(0.01)
        asked.cancel()
        await asyncio.wait([asked])
        block.set()
        assert await source.set_threshold('/nobody', 0.5) == '/nobody is not there'
        source.end()
        await running

    with WatchNode() as source:
        asyncio.run(give_up(source))
