#!/usr/bin/env python3
# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Show the counts of several test runs side by side: what ``.ci/run`` ends with.

Each argument is the name of a run and the file that ``pytest --junitxml`` wrote, for example
``kilted=.build/tests.xml``. The exit status is 1 where a run has failures or wrote no file.
"""

import collections
import pathlib
import sys
import xml.etree.ElementTree
from typing import Optional

COUNTS = 'passed', 'failed', 'skipped'


def counts_of(report: pathlib.Path) -> Optional[dict[str, int]]:
    """Return how many tests had which outcome; None where pytest did not write this file.

    :param report: in the format of JUnit. An error, for example of a fixture, counts as failed.
    """
    if not report.is_file():
        return None
    outcomes = collections.Counter(
        'failed' if case.find('failure') is not None or case.find('error') is not None
        else 'skipped' if case.find('skipped') is not None else 'passed'
        for case in xml.etree.ElementTree.parse(report).iter('testcase'))
    return {name: outcomes[name] for name in COUNTS}


def main(arguments: list[str]) -> int:
    """Print one line a run; return the exit status."""
    print(f'{"distribution":<14}' + ''.join(f'{name:>9}' for name in COUNTS))
    status = 0
    for argument in arguments:
        name, _, report = argument.partition('=')
        counts = counts_of(pathlib.Path(report))
        if counts is None:
            print(f'{name:<14}  did not finish: there is no {report}')
        else:
            print(f'{name:<14}' + ''.join(f'{counts[key]:>9}' for key in COUNTS))
        if counts is None or counts['failed'] or not counts['passed']:
            status = 1
    return status


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
