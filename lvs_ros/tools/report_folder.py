# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The folder of a tool that also works without one: --out and --force."""

import argparse
import contextlib
import pathlib
from typing import Iterator, Optional

from lvs_ros.output_folder import output_folder
from lvs_ros.tools.interruption import interrupted_once


@contextlib.contextmanager
def report_folder(args: argparse.Namespace, *, marker: str) -> Iterator[Optional[pathlib.Path]]:
    """Give the folder to be written, if there is one; let nothing be left behind on Ctrl-C.

    :param marker: see :func:`~lvs_ros.output_folder.output_folder`, which has the errors, too
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(interrupted_once())
        yield None if args.out is None else stack.enter_context(
            output_folder(args.out, marker=marker, force=args.force))
