# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""State and time: schedules, the slow track, and the step that labels a frame. No ROS here.

A name is imported when it is first asked for: torch takes seconds to load, and who plays a
recording or films the street needs only frames and encodings.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lvs_ros.pipeline.build import PipelineOptions, build_pipeline
    from lvs_ros.pipeline.frame import Frame, StepResult, StepStatus
    from lvs_ros.pipeline.pipeline import KeyFrameError, SegmentationPipeline
    from lvs_ros.pipeline.schedule import SCHEDULES, ScheduleSettings

__all__ = ['Frame', 'KeyFrameError', 'PipelineOptions', 'SCHEDULES', 'ScheduleSettings',
           'SegmentationPipeline', 'StepResult', 'StepStatus', 'build_pipeline']


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in ('frame', 'schedule', 'build', 'pipeline'):
            found = vars(importlib.import_module(f'{__name__}.{module}'))
            if name in found:
                return found[name]
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
