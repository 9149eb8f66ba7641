# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The configurations for other programs fit the node's topics and classes."""

import json
import pathlib
import types
from typing import Any

import numpy as np
import yaml

from lvs_ros.labels import load_label_set

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
CONFIG = REPOSITORY / 'config'


def topics() -> set[str]:
    """Return the full names of the topics in the table in docs/topics.md."""
    lines = (REPOSITORY / 'docs' / 'topics.md').read_text(encoding='utf-8').splitlines()
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


def panels_of(layout: Any) -> list[str]:
    """Return the panels of a layout's tree."""
    return [layout] if isinstance(layout, str) else [
        *panels_of(layout['first']), *panels_of(layout['second'])]


def test_rviz_and_foxglove_show_our_topics() -> None:
    rviz: Any = yaml.safe_load((CONFIG / 'lvs.rviz').read_text(encoding='utf-8'))
    for display in rviz['Visualization Manager']['Displays']:
        assert display['Topic']['Value'] in topics()

    foxglove = json.loads((CONFIG / 'foxglove_layout.json').read_text(encoding='utf-8'))
    panels = foxglove['configById']
    assert sorted(panels_of(foxglove['layout'])) == sorted(panels)
    fields = {line.split()[1] for line in (REPOSITORY / 'msg' / 'FrameStatus.msg').read_text(
        encoding='utf-8').splitlines() if line and not line.startswith('#')}
    for panel in panels.values():
        if 'imageMode' in panel:
            assert panel['imageMode']['imageTopic'] in topics()
        for path in panel.get('paths', ()):
            topic, field = path['value'].split('.')
            assert topic == '/lvs/status' and field in fields


def test_the_recipe_finds_the_point_on_the_ground() -> None:
    """A camera 2 m above the ground, which looks ahead and 30 degrees down."""
    text = (REPOSITORY / 'docs' / 'outputs.md').read_text(encoding='utf-8')
    recipe = text.split('```python')[1].split('```')[0]
    k = np.array([[400.0, 0, 320], [0, 410, 240], [0, 0, 1]])
    down = np.deg2rad(30)
    # Columns: the camera's x (right), y (down) and z (ahead) in a frame of x ahead, y left, z up.
    rotation = np.array([[0, -np.sin(down), np.cos(down)], [-1, 0, 0],
                         [0, -np.cos(down), -np.sin(down)]])
    translation, expected = np.array([0.5, 0.1, 2.0]), np.array([5.0, -1.0, 0.0])
    u, v, w = k @ rotation.T @ (expected - translation)
    scope = {'np': np, 'info': types.SimpleNamespace(k=k.ravel()), 'u': u / w, 'v': v / w,
             'rotation': rotation, 'translation': translation}
    exec(recipe, scope)
    np.testing.assert_allclose(scope['point'], expected, atol=1e-9)
