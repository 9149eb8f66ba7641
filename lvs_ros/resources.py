# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the files that come with the package are: label sets, models, parameter files.

The same code runs from a source checkout, from a colcon install space and from a pip install,
which keep these files in three different places.
"""

import os
import pathlib
import sys
from typing import Iterator, Union

from lvs_ros.errors import ConfigurationError


def config_dir() -> pathlib.Path:
    """Return the folder that holds ``lvs.yaml``, ``labels/`` and ``models/``.

    :raises ConfigurationError: when no such folder belongs to this installation.
    """
    tried = []
    for candidate in _candidates():
        if (candidate / 'labels').is_dir():
            return candidate
        tried.append(str(candidate))
    raise ConfigurationError(
        'the configuration files of lvs_ros were not found; looked in ' + ', '.join(tried)
        + '. Source the setup file of the workspace it is installed in, or install it again.')


def model_path(name_or_path: Union[str, os.PathLike]) -> pathlib.Path:
    """Return where the file of a model is, if there is one: a name in ``models/``, or a path."""
    path = pathlib.Path(name_or_path)
    return path if path.suffix == '.safetensors' else \
        config_dir() / 'models' / f'{name_or_path}.safetensors'


def _candidates() -> Iterator[pathlib.Path]:
    # resolve(): with colcon's --symlink-install the modules are links into the source tree.
    yield pathlib.Path(__file__).resolve().parent.parent / 'config'
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        if prefix:
            yield pathlib.Path(prefix) / 'share' / 'lvs_ros' / 'config'
    yield pathlib.Path(sys.prefix) / 'share' / 'lvs_ros' / 'config'
