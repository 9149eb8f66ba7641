# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""State and time: schedules, the slow track, and the step that labels a frame. No ROS here."""

from lvs_ros.options import SCHEDULES, PipelineOptions
from lvs_ros.pipeline.build import build_pipeline
from lvs_ros.pipeline.frame import Frame, StepResult, StepStatus
from lvs_ros.pipeline.pipeline import KeyFrameError, SegmentationPipeline

__all__ = ['Frame', 'KeyFrameError', 'PipelineOptions', 'SCHEDULES', 'SegmentationPipeline',
           'StepResult', 'StepStatus', 'build_pipeline']
