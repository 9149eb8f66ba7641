# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Low-latency video semantic segmentation for ROS 2 (Li, Shi, Lin, CVPR 2018).

The names of ``__all__`` and the errors of :mod:`lvs_ros.errors` are the public API of the Python
package: docs/api.md describes them. Every other module may change in any version.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lvs_ros.errors import LvsError
    from lvs_ros.labels import LabelSet, load_label_set
    from lvs_ros.model import (ModelConfig, SegmentationNetwork, load_network, read_notes,
                               save_network)
    from lvs_ros.node.segmentation_node import SegmentationNode
    from lvs_ros.options import NodeOptions, PipelineOptions
    from lvs_ros.pipeline.build import build_pipeline
    from lvs_ros.pipeline.execution import SimulatedExecutor
    from lvs_ros.pipeline.forecast import Forecast
    from lvs_ros.pipeline.frame import Frame, StepResult, StepStatus
    from lvs_ros.pipeline.pipeline import SegmentationPipeline
    from lvs_ros.street import StreetScene

# In a checkout the modules are in the source tree and the compiled lvs_ros.msg is in colcon's
# install folder: both are one package. Where everything is in one folder this changes nothing.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = '0.1.0'

__all__ = ['Forecast', 'Frame', 'LabelSet', 'LvsError', 'ModelConfig', 'NodeOptions',
           'PipelineOptions', 'SegmentationNetwork', 'SegmentationNode', 'SegmentationPipeline',
           'SimulatedExecutor', 'StepResult', 'StepStatus', 'StreetScene', 'build_pipeline',
           'load_label_set', 'load_network', 'read_notes', 'save_network']

_MODULES = {
    'lvs_ros.errors': ('LvsError',),
    'lvs_ros.labels': ('LabelSet', 'load_label_set'),
    'lvs_ros.model': ('ModelConfig', 'SegmentationNetwork', 'load_network', 'read_notes',
                      'save_network'),
    'lvs_ros.node.segmentation_node': ('SegmentationNode',),
    'lvs_ros.options': ('NodeOptions', 'PipelineOptions'),
    'lvs_ros.pipeline.build': ('build_pipeline',),
    'lvs_ros.pipeline.execution': ('SimulatedExecutor',),
    'lvs_ros.pipeline.forecast': ('Forecast',),
    'lvs_ros.pipeline.frame': ('Frame', 'StepResult', 'StepStatus'),
    'lvs_ros.pipeline.pipeline': ('SegmentationPipeline',),
    'lvs_ros.street': ('StreetScene',),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is used first: most commands need no torch, or no ROS."""
    if name not in _MODULE_OF:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
