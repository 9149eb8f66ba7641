# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a page of ``lvs watch`` shows of running nodes, from their topics and services."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter, parameter_value_to_python
from sensor_msgs.msg import Image

from lvs_ros.errors import ImageError, LvsError
from lvs_ros.msg import FrameStatus
from lvs_ros.node import qos
from lvs_ros.node.diagnostics import Level
from lvs_ros.node.serialized_images import read_image
from lvs_ros.tool_nodes.tool_node import ToolNode
from lvs_ros.watch import picture, values
from lvs_ros.watch.legend import label_set_of
from lvs_ros.watch.life import Life
from lvs_ros.watch.source import News

_STATUS_TYPE = 'lvs_ros/msg/FrameStatus'
_LOOK_S = 0.5    # at the graph, and for nodes that have gone silent
_SPIN_S = 0.5
_ANSWER_S = 3.0
_PICTURE_S, _SHARES_S = 0.1, 0.5
_LEVELS = {bytes([level]): level.name for level in Level}
_PARAMETERS = {'threshold': float, 'schedule': str, 'model': str, 'labels': str,
               'diagnostics_period_s': float}


class WatchNode(ToolNode):
    """A source of news of the nodes that pages show.

    Of a node that no page shows, it knows what the graph says, and subscribes to nothing.
    """

    def __init__(self, *, domain_id: int | None = None) -> None:
        super().__init__('lvs_watch', domain_id=domain_id)
        self._tell: Callable[[News], None] = lambda news: None
        self._ended = threading.Event()
        self._shown: dict[str, _ShownNode] = {}
        self._nodes: list[str] | None = None
        self._diagnostics: Any = None
        # A steady clock: that of the computer may be set.
        self._node.create_timer(_LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    async def run(self, tell: Callable[[News], None]) -> None:
        """Tell what there is until :meth:`end`, in the caller's event loop."""
        loop = asyncio.get_running_loop()
        self._tell = lambda news: _call_in(loop, tell, news)
        try:
            await asyncio.to_thread(self._spin)
        finally:
            self.end()

    def end(self) -> None:
        """Let :meth:`run` return."""
        self._ended.set()
        self._executor.create_task(lambda: None)    # a wait that is merely woken goes on

    def show(self, nodes: Mapping[str, bool]) -> None:
        """Tell of these nodes from now on, and of no others.

        :param nodes: name of each, and whether with pictures and shares.
        """
        self._executor.create_task(self._show, nodes)

    async def set_threshold(self, node: str, threshold: float) -> str | None:
        """Set a node's threshold; return why not, or None."""
        answer: concurrent.futures.Future[str | None] = concurrent.futures.Future()
        self._executor.create_task(self._set_threshold, node, threshold, answer)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(answer), _ANSWER_S)
        except asyncio.TimeoutError:
            return f'{node} did not answer within {_ANSWER_S:g} s'

    # From here on, all runs in the thread that spins.

    def _spin(self) -> None:
        self._look()
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=_SPIN_S)

    def _look(self) -> None:
        nodes = sorted({node for topic, types in self._node.get_topic_names_and_types()
                        if _STATUS_TYPE in types
                        for node in map(_full_name, self._node.get_publishers_info_by_topic(topic))
                        if topic == f'{node}/status'})    # else somebody plays a recording
        if nodes != self._nodes:
            self._nodes = nodes
            self._tell(News('', 'nodes', nodes))
        for name, shown in self._shown.items():
            shown.look(is_there=name in nodes)

    def _show(self, nodes: Mapping[str, bool]) -> None:
        for name in self._shown.keys() - nodes.keys():
            self._shown.pop(name).close()
        for name, with_picture in nodes.items():
            if name not in self._shown:
                self._shown[name] = _ShownNode(self._node, name, self._tell)
            self._shown[name].with_picture(with_picture)
        if self._shown and self._diagnostics is None:
            self._diagnostics = self._node.create_subscription(
                DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        elif not self._shown and self._diagnostics is not None:
            self._node.destroy_subscription(self._diagnostics)
            self._diagnostics = None

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            shown = self._shown.get('/' + status.hardware_id)
            if shown is not None and status.name.endswith(': segmentation'):
                shown.on_diagnosis(status)

    def _set_threshold(self, name: str, threshold: float,
                       answer: concurrent.futures.Future[str | None]) -> None:
        shown = self._shown.get(name)
        if shown is None:
            _give(answer, f'{name} is not there')
        else:
            shown.set_threshold(threshold, answer)


def _give(answer: concurrent.futures.Future[str | None], problem: str | None) -> None:
    # There is one already, or the request was cancelled: its page was closed.
    with contextlib.suppress(concurrent.futures.InvalidStateError):
        answer.set_result(problem)


def _full_name(end: Any) -> str:
    return f'{end.node_namespace.rstrip("/")}/{end.node_name}'


def _image(cdr: bytes, order: str) -> np.ndarray:
    frame = read_image(cdr).frame
    if frame.order != order:
        raise ImageError(f'channels {frame.order}: expected {order}')
    return frame.image


def _call_in(loop: asyncio.AbstractEventLoop, tell: Callable[[News], None], news: News) -> None:
    loop.call_soon_threadsafe(tell, news)


class _ShownNode:
    """A node that some page shows.

    :param node: subscribes.
    :param name: full name of the node that is shown.
    :param tell: is told the news.
    """

    def __init__(self, node: Any, name: str, tell: Callable[[News], None]) -> None:
        self._node, self._name = node, name
        self._tell_news = tell
        self._life = Life(time.monotonic())
        self._status = node.create_subscription(
            FrameStatus, f'{name}/status', self._on_status, qos.status_output())
        self._pictures: list[Any] = []
        self._picture_due_s = self._shares_due_s = 0.0
        self._getter = node.create_client(GetParameters, f'{name}/get_parameters')
        self._setter = node.create_client(SetParameters, f'{name}/set_parameters')
        self._has_settings = False

    def with_picture(self, wanted: bool) -> None:
        """Subscribe to the overlay and the mask, or to neither."""
        if wanted and not self._pictures:
            self._pictures = [
                self._node.create_subscription(Image, f'{self._name}/{topic}', take,
                                               qos.image_output(), raw=True)
                for topic, take in (('overlay', self._on_overlay), ('mask', self._on_mask))]
        elif not wanted:
            while self._pictures:
                self._node.destroy_subscription(self._pictures.pop())

    def close(self) -> None:
        """Subscribe to nothing any more."""
        self.with_picture(False)
        self._node.destroy_subscription(self._status)
        self._node.destroy_client(self._getter)
        self._node.destroy_client(self._setter)

    def look(self, *, is_there: bool) -> None:
        """Tell if it is silent; ask for its settings where they are not known.

        :param is_there: the graph has it.
        """
        silence = self._life.silence(time.monotonic())
        if silence is not None:
            self._tell('condition', values.condition_value(values.GONE, silence, {}))
        if silence is not None or not is_there:
            self._has_settings = False    # it may have others when it is back
        elif not self._has_settings and self._getter.service_is_ready():
            # again and again: of a node that was killed, the service stays in the graph
            self._getter.call_async(GetParameters.Request(names=list(_PARAMETERS))
                                    ).add_done_callback(self._on_settings)

    def on_diagnosis(self, status: Any) -> None:
        """Tell its condition."""
        self._life.heard(time.monotonic())
        self._tell('condition', values.condition_value(
            _LEVELS.get(status.level, Level.ERROR.name), status.message,
            {pair.key: pair.value for pair in status.values}))

    def set_threshold(self, threshold: float,
                      answer: concurrent.futures.Future[str | None]) -> None:
        """Set its threshold; the answer is why not, or None."""
        if not self._setter.service_is_ready():
            _give(answer, f'{self._name} offers no service to set parameters: it has ended, or '
                          'cannot be reached')
            return

        def on_done(future: Any) -> None:
            problems = [None if result.successful else result.reason
                        for result in future.result().results]
            _give(answer, problems[0] if problems else f'{self._name} gave no result')

        parameter = Parameter('threshold', value=threshold).to_parameter_msg()
        self._setter.call_async(
            SetParameters.Request(parameters=[parameter])).add_done_callback(on_done)

    def _tell(self, key: str, value: Any) -> None:
        self._tell_news(News(self._name, key, value))

    def _on_settings(self, future: Any) -> None:
        found: dict[str, Any] = {name: parameter_value_to_python(value)
                                 for name, value in zip(_PARAMETERS, future.result().values)}
        if {name: type(value) for name, value in found.items()} != _PARAMETERS:
            return    # a node of another version, or of another kind
        self._has_settings = True
        self._life.period_s = found['diagnostics_period_s']
        try:
            label_set, problem = label_set_of(found['model'], found['labels']), ''
        except LvsError as error:
            label_set, problem = None, str(error)
        self._tell('settings', values.settings_value(found['threshold'], found['schedule'],
                                                     label_set, problem))

    def _on_status(self, message: FrameStatus) -> None:
        self._tell('frame', values.frame_value(message, time.monotonic()))

    def _on_overlay(self, cdr: bytes) -> None:
        now_s = time.monotonic()
        if now_s < self._picture_due_s:
            return
        # On average it keeps the rate, whatever that of the camera is.
        self._picture_due_s = max(self._picture_due_s + _PICTURE_S, now_s)
        try:
            self._tell('picture', picture.jpeg(_image(cdr, 'rgb')))
        except ImageError:
            pass    # of somebody else's on that topic

    def _on_mask(self, cdr: bytes) -> None:
        now_s = time.monotonic()
        if now_s < self._shares_due_s:
            return
        self._shares_due_s = now_s + _SHARES_S
        try:
            self._tell('shares', picture.shares(_image(cdr, 'mono')))
        except ImageError:
            pass
