# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How a command ends: what a user can mend is one line and exit code 2, a bug a traceback."""

import contextlib
import errno
import io
import os
import signal
import sys
from typing import Any, Callable, Iterator, Optional

from lvs_ros.dependencies import advice
from lvs_ros.errors import LvsError
from lvs_ros.exit_codes import INTERRUPTED, READER_GONE, USER_ERROR
from lvs_ros.staging import NO_ROOM
from lvs_ros.warning_texts import warnings_passed_to

# What no program can do anything about.
_OF_THE_COMPUTER = (*NO_ROOM, errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


def ended(run: Callable[[], int], name: str) -> int:
    """Run a command; return its exit code.

    :param name: of the command, which goes before what is said
    :raises Exception: what is neither the user's nor the computer's fault, as it is
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a file's name may hold what the terminal has no letter for
        sys.stdout.reconfigure(errors='backslashreplace')
    with warnings_passed_to(lambda text: _say(f'{name}: warning: {text}')):
        try:
            return _flushed(run(), name)
        except SystemExit as told:    # by argparse
            raise SystemExit(_flushed(told.code, name)) from None
        except KeyboardInterrupt:
            return _flushed(INTERRUPTED, name)
        except BrokenPipeError:
            return _flushed(READER_GONE, name)
        except Exception as error:
            text = reason(error)
            if text is None:
                raise
            _say(f'{name}: error: {text}')
            return _flushed(USER_ERROR, name)


def reason(error: BaseException) -> Optional[str]:
    """Return what to tell the user; None for a bug."""
    if isinstance(error, LvsError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return advice(error)
    if isinstance(error, OSError):
        if isinstance(error.filename, (str, bytes, os.PathLike)):
            return f'{os.fsdecode(error.filename)}: {error.strerror}'
        if error.errno in _OF_THE_COMPUTER:
            return error.strerror
    if _is_out_of_memory(error):
        first_line = str(error).strip().partition('\n')[0]
        return ('the memory of this computer, or of its GPU, does not suffice: '
                f'{first_line or "no more could be had"}')
    return None


@contextlib.contextmanager
def interrupted_at_once() -> Iterator[None]:
    """End the process at Ctrl-C, for as long as nothing but modules has been loaded.

    A KeyboardInterrupt during an import may be caught, or turned into another error, by the
    importing module; and there is nothing to clean up yet.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_out_of_memory(error: BaseException) -> bool:
    # of NumPy and Python; of torch on a GPU, on a CPU; of OpenCV
    return (isinstance(error, MemoryError) or type(error).__name__ == 'OutOfMemoryError'
            or isinstance(error, RuntimeError) and 'DefaultCPUAllocator' in str(error)
            or getattr(error, 'code', None) == -4 and type(error).__module__ == 'cv2')


def _flushed(code: Any, name: str) -> Any:
    """Return the exit code, or another one where the output cannot be written to its end."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try once more at its end, and complain.
        with contextlib.suppress(OSError), open(os.devnull, 'wb') as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return READER_GONE
        _say(f'{name}: error: the output cannot be written ({error.strerror})')
        return USER_ERROR
    return code


def _say(text: str) -> None:
    with contextlib.suppress(OSError):    # stderr is closed
        print(text, file=sys.stderr, flush=True)
