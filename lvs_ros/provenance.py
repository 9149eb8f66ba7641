# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a file of results says of its making, so that its figures can be made again."""

import datetime
import pathlib
import shlex
import subprocess
import sys
from typing import Optional

import torch

from lvs_ros import __version__

_CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
_MOST_S = 10.0


def provenance() -> dict[str, Optional[str]]:
    """Return command, commit, date and versions."""
    spec = getattr(sys.modules['__main__'], '__spec__', None)    # of python -m MODULE
    program = [pathlib.Path(sys.argv[0]).name] if spec is None else ['python', '-m', spec.name]
    return {'command': shlex.join([*program, *sys.argv[1:]]),
            'commit': commit(), 'date': datetime.date.today().isoformat(),
            'lvs_ros': __version__, 'torch': torch.__version__}


def commit(checkout: pathlib.Path = _CHECKOUT) -> Optional[str]:
    """Return the commit of a git checkout, with ``-dirty`` where tracked files differ from it.

    :return: None where it is no checkout, such as in an installed package, or git is missing
    """
    if not (checkout / '.git').exists():    # of a checkout around it, git would tell another one
        return None
    try:
        told = subprocess.run(
            ['git', '-C', str(checkout), 'describe', '--always', '--dirty', '--exclude=*'],
            capture_output=True, text=True, timeout=_MOST_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None
