# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A lifecycle node that refuses a transition that its state does not have."""

from rclpy._rclpy_pybind11 import RCLError    # rclpy exports it nowhere else
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn


class RefusingLifecycleNode(LifecycleNode):
    """Answers such a request with success: false.

    In Jazzy's rclpy (7.1) it is an exception in the executor's thread, which ends the process;
    later versions do what this does.
    """

    def _LifecycleNodeMixin__change_state(self, transition_id: int) -> TransitionCallbackReturn:
        # The name is that of rclpy's private method, which its services call.
        try:
            answer: TransitionCallbackReturn = (
                super()._LifecycleNodeMixin__change_state(transition_id))  # type: ignore[misc]
        except RCLError as error:
            self.get_logger().error(f'transition {transition_id} is refused: {error}')
            return TransitionCallbackReturn.ERROR
        return answer
