# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The networks: torch only, stateless modules that read from top to bottom like the paper."""

from lvs_ros.model.checkpoint import (find_model, load_network, read_config, read_notes,
                                      save_network)
from lvs_ros.model.config import VARIANTS, ModelConfig
from lvs_ros.model.network import SegmentationNetwork

__all__ = ['ModelConfig', 'SegmentationNetwork', 'VARIANTS', 'find_model', 'load_network',
           'read_config', 'read_notes', 'save_network']
