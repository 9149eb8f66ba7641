# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Weights that other projects trained, turned into networks of ours.

:mod:`foreign_file` reads a file without executing anything in it, :mod:`layouts` knows the key
names of each project, :mod:`settings` finds out what the weights alone do not show, and
:mod:`convert` puts them together.
"""

from lvs_ros.model.importing.convert import Imported, import_checkpoint
from lvs_ros.model.importing.settings import Overrides

__all__ = ['Imported', 'Overrides', 'import_checkpoint']
