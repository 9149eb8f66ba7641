# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The classes of a node's masks and their colours, from its model's file, without torch."""

from __future__ import annotations

import json

import safetensors

from lvs_ros.errors import ModelFileError
from lvs_ros.labels import LabelSet, labels_of_model, load_label_set, read_label_set
from lvs_ros.resources import model_path

_REMEDY = 'run lvs watch on the computer of the node, where its model is'


def label_set_of(model: str, labels: str) -> LabelSet:
    """Return the label set of a node.

    :param model: its parameter of that name: a name in ``config/models`` or a path.
    :param labels: its parameter of that name: another set, or ''.
    :raises LvsError: the files are not on this computer, or not what they should be.
    """
    path = model_path(model)
    try:
        with safetensors.safe_open(path, framework='np') as file:
            config = json.loads((file.metadata() or {})['config'])
        stored = read_label_set(config['labels']) if config.get('labels') else None
        name, count = config['label_set'], config['classes']
    except OSError as error:
        raise ModelFileError(f'the model {model} is not on this computer: {_REMEDY}') from error
    except (safetensors.SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f'{path} is no model of lvs_ros ({error!s:.200}): {_REMEDY}'
                             ) from error
    return labels_of_model(stored, name, count, load_label_set(labels) if labels else None)
