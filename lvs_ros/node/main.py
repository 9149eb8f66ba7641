# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The executable ``lvs_node``: one segmentation node, from start to a clean end."""

from __future__ import annotations

import os
import sys
import threading
from typing import Sequence

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.utilities import remove_ros_args

from lvs_ros import exit_codes
from lvs_ros.errors import DeviceLostError, LvsError
from lvs_ros.node.frame_executor import FrameExecutor
from lvs_ros.node.segmentation_node import SegmentationNode
from lvs_ros.node.watchdog import Watchdog

USAGE = """usage: lvs_node [--ros-args ...]

Publishes a label map for every camera image (topics ~/mask, ~/status, ...).

  --ros-args --params-file lvs.yaml   parameters from a file; config/lvs.yaml
                                      has all of them with their meaning
  --ros-args -p threshold:=0.2        one parameter
  --ros-args -r image_raw:=/camera/image_raw
  --ros-args -r __node:=lvs_front -r __ns:=/front --log-level debug"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop.

    :param arguments: the command line without the name of the program; None = that of the process.
    :returns: one of :mod:`lvs_ros.exit_codes`.
    """
    words = ['lvs_node', *(sys.argv[1:] if arguments is None else arguments)]
    try:
        own = remove_ros_args(words)[1:]
        if own:
            return _explain(own)
        rclpy.init(args=words)
    except Exception as error:  # rclpy raises several kinds for arguments that it cannot read
        print(f'lvs_node: error: {error}', file=sys.stderr)
        return exit_codes.USER_ERROR
    try:
        code = _run()
    except (KeyboardInterrupt, ExternalShutdownException):
        code = exit_codes.OK
    except LvsError as error:
        print(f'lvs_node: error: {error}', file=sys.stderr)
        code = exit_codes.USER_ERROR
    finally:
        rclpy.try_shutdown()
    _leave_if_busy(code)
    return code


def _run() -> int:
    node = SegmentationNode(watchdog=_watchdog())
    # rclpy.experimental's EventsExecutor is a little quicker, but fails on a callback that wants
    # the message's info, and its spin() holds the interpreter; the multi-threaded one burns CPU
    # time that the networks need.
    executor = FrameExecutor(node.lose_frame)
    try:
        if node.parameters.node.autostart and not node.autostart():
            return _failure_code(node)
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except DeviceLostError as error:
        print(f'lvs_node: error: {error}', file=sys.stderr, flush=True)
        os._exit(exit_codes.FAILED)    # to tidy up, the device would be needed
    except MemoryError as error:
        print(f'lvs_node: error: out of memory: {error}; it may be started again', file=sys.stderr)
        return exit_codes.FAILED
    except Exception:
        if rclpy.ok():
            raise
        # The signal came between two looks of the executor at its context, which is gone now.
    finally:
        executor.shutdown()
        node.destroy_node()
    return exit_codes.OK


def _failure_code(node: SegmentationNode) -> int:
    """Return the exit code of a node that did not become active."""
    if not rclpy.ok():
        return exit_codes.OK
    failure = node.transition_failure
    mendable = isinstance(failure, LvsError) and not isinstance(failure, DeviceLostError)
    return exit_codes.USER_ERROR if mendable else exit_codes.FAILED


def _watchdog() -> Watchdog | None:
    try:
        return Watchdog()
    except OSError as error:
        print(f'lvs_node: warning: there is no watchdog: {error}', file=sys.stderr)
        return None


def _leave_if_busy(code: int) -> None:
    """End the process here if a background job is still inside a native call.

    Such a job cannot be stopped. Python would wait for nothing, but tear down what the job still
    uses, and the process would abort instead of ending with its exit code.
    """
    if any(thread.daemon and thread is not threading.current_thread()
           for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _explain(words: Sequence[str]) -> int:
    """Answer words that are no ROS arguments."""
    if '-h' in words or '--help' in words:
        print(USAGE)
        return exit_codes.OK
    print(f'lvs_node: error: unknown arguments: {" ".join(words)}\n{USAGE}', file=sys.stderr)
    return exit_codes.USER_ERROR
