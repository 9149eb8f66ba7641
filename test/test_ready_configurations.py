# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The configurations for other programs fit the node's topics and classes."""

import pathlib
from typing import Any

import yaml

from lvs_ros.labels import load_label_set

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
CONFIG = REPOSITORY / 'config'


def topics() -> set[str]:
    """Return the full names of the topics in the README's table."""
    lines = (REPOSITORY / 'README.md').read_text(encoding='utf-8').splitlines()
    names = [line.split('`')[1] for line in lines if line.startswith('| `~/')]
    return {name.replace('~', '/lvs', 1) for name in names}


def test_nav2_reads_our_topics_and_knows_every_class() -> None:
    content: Any = yaml.safe_load((CONFIG / 'nav2_costmap.yaml').read_text(encoding='utf-8'))
    costmap = content['local_costmap']['local_costmap']['ros__parameters']
    camera = costmap[costmap['plugins'][0]]['camera']
    assert {camera['segmentation_topic'], camera['confidence_topic'],
            camera['labels_topic']} <= topics()
    classes = [name for kind in camera['class_types'] for name in camera[kind]['classes']]
    assert sorted(classes) == sorted(load_label_set('camvid').names), 'each once'
    assert all(0 <= camera[kind]['base_cost'] <= camera[kind]['max_cost'] <= 254
               for kind in camera['class_types'])
