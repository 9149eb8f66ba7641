# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The quality of service of each topic, as defaults that a parameter file can override.

Each function makes a new profile: rclpy writes the overrides into the object it is given. What is
not named is rclpy's default: reliable, volatile, keep last.
"""

import contextlib
from collections.abc import Iterator

from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions

from lvs_ros.errors import ConfigurationError


def image_input() -> QoSProfile:
    """Best effort matches every camera; a queue of one makes the newest frame win."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def image_output() -> QoSProfile:
    """Reliable matches every subscriber; with a queue of one, only the newest mask is kept."""
    return QoSProfile(depth=1)


def status_output() -> QoSProfile:
    """Small messages: a few may wait for a slow listener."""
    return QoSProfile(depth=10)


def label_info() -> QoSProfile:
    """Sent once; late joiners get it too."""
    return QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def overridable() -> QoSOverridingOptions:
    """Let ``qos_overrides.<topic>.<subscription or publisher>.<policy>`` change a profile.

    Depth, history and reliability can be set so.
    """
    return QoSOverridingOptions.with_default_policies(callback=_check)


@contextlib.contextmanager
def overrides_checked() -> Iterator[None]:
    """Turn the errors of what applies overrides in this block into one.

    :raises ConfigurationError: rclpy cannot apply one; it fails in several ways, and never names
        the parameter.
    """
    try:
        yield
    except (AssertionError, InvalidQosOverridesError, ParameterException, RuntimeError) as error:
        reason = str(error) or 'a value has the wrong type'
        raise ConfigurationError(
            f'qos_overrides cannot be applied: {reason}; expected depth: a whole number from 1, '
            'history: keep_last or keep_all, reliability: reliable or best_effort') from error


def _check(profile: QoSProfile) -> SetParametersResult:
    if profile.history == HistoryPolicy.KEEP_LAST and profile.depth < 1:
        return SetParametersResult(successful=False,
                                   reason=f'depth {profile.depth}: at least 1 is needed')
    return SetParametersResult(successful=True)
