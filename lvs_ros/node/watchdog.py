# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ends a process whose frames have stopped, so that it is started again.

A native call that never returns cannot be ended from outside, and nothing else in the process can
take its place. The watch is kept by a thread in C++ (``lvs_ros/node/watchdog.cpp``), which works
even while such a call holds Python's interpreter; DDS itself tells it that an image has arrived.
"""

from __future__ import annotations

import ctypes
import faulthandler
import pathlib
import signal
import sys
import traceback
from typing import Any

import lvs_ros

_ARGUMENTS: dict[str, list[Any]] = {
    'lvs_watchdog_watch': [ctypes.c_int, ctypes.c_char_p, ctypes.c_int],
    'lvs_watchdog_stop': [],
    'lvs_watchdog_arrived': [ctypes.c_void_p, ctypes.c_size_t],
    'lvs_watchdog_progressed': [],
    'lvs_watchdog_hold': [],
}
_STDERR = 2
_DEBUGGERS = {'bdb', 'pdb', 'pydevd', '_pydevd_bundle'}


class Watchdog:
    """Of this process, which ends with exit code 1. One a process.

    The time does not go on while a debugger is attached or the process is stopped.

    :raises OSError: it has not been compiled.
    """

    def __init__(self) -> None:
        self._native = _load()
        self._signal = int(signal.SIGRTMAX)
        faulthandler.register(self._signal, file=_STDERR, all_threads=True)
        self._subscription: Any = None

    def watch(self, subscription: Any, limit_s: float) -> None:
        """Begin.

        :param subscription: of the images.
        :param limit_s: the longest time from an arrival to :meth:`progressed`; 0 = for ever.
        """
        self.stop()
        if limit_s == 0:
            return
        text = (f'lvs_node: error: images arrive on {subscription.topic_name} and none has been '
                f'finished for {limit_s:g} s (parameter watchdog_s): a network, or another call, '
                'does not come back; the process ends, and can be started again\n')
        self._native.lvs_watchdog_watch(round(1e3 * limit_s), text.encode(), self._signal)
        self._subscription = subscription
        _call_on_arrival(subscription, self._native.lvs_watchdog_arrived)

    def stop(self) -> None:
        """End the watch; to be called before the subscription is destroyed."""
        self._native.lvs_watchdog_stop()
        if self._subscription is not None:
            _call_on_arrival(self._subscription, None)
            self._subscription = None

    def frame_begins(self) -> None:
        """An image has been taken."""
        self._native.lvs_watchdog_arrived(None, 1)

    def progressed(self) -> None:
        """The thread with the frames has finished one, or had time for something else."""
        self._native.lvs_watchdog_progressed()

    def look_for_debugger(self) -> None:
        """Let the time stand still while a thread is in a debugger of Python's.

        To be called again and again, within half of the limit.
        """
        if _in_debugger():
            self._native.lvs_watchdog_hold()


def _load() -> ctypes.CDLL:
    for folder in lvs_ros.__path__:
        path = pathlib.Path(folder, 'node', 'liblvs_watchdog.so')
        if path.exists():
            native = ctypes.CDLL(str(path))
            for name, arguments in _ARGUMENTS.items():
                getattr(native, name).argtypes = arguments
                getattr(native, name).restype = None
            return native
    raise OSError('liblvs_watchdog.so is missing: build lvs_ros again on this computer')


def _call_on_arrival(subscription: Any, function: Any) -> None:
    """Let the middleware call a native function for each message; None = no more.

    rclpy has this for its own executors only. Where it cannot be had, an image counts from the
    moment on that it is taken.
    """
    try:
        call = ctypes.CDLL('librcl.so').rcl_subscription_set_on_new_message_callback
    except (OSError, AttributeError):
        return
    call.argtypes = [ctypes.c_void_p] * 3
    with subscription.handle:
        call(subscription.handle.pointer,
             None if function is None else ctypes.cast(function, ctypes.c_void_p), None)


def _in_debugger() -> bool:
    return any(str(frame.f_globals.get('__name__')).partition('.')[0] in _DEBUGGERS
               for top in sys._current_frames().values()
               for frame, _ in traceback.walk_stack(top))
