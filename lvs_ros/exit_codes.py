# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The exit codes of the node and of all tools.

===  =====================================================================  ====================
0    done, or told to stop (the node: SIGINT, SIGTERM)                      stays down
1    failed, and may be started again (a crash ends here, too)              is started again
2    the user has to mend something: an argument, a parameter, a file, ...  stays down
130  a tool was interrupted (Ctrl-C)
141  the reader of a tool's output is gone (``| head``): what a shell reports of SIGPIPE
===  =====================================================================  ====================

The last column is what ``lvs.launch.py`` does with the node. A signal that kills the node is a
reason to start it again, like code 1.
"""

OK = 0
FAILED = 1
USER_ERROR = 2
INTERRUPTED = 130
READER_GONE = 141


def is_worth_a_restart(code: int) -> bool:
    """Say whether starting the node again can help.

    :param code: its exit code; negative, or from 128 on, where a signal killed it.
    """
    return code == FAILED or code < 0 or (code >= 128 and code != INTERRUPTED)
