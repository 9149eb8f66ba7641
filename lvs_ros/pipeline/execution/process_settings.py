# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Settings of the whole process that an executor makes, and restores when it is closed."""

import threading
from typing import Optional

import cv2
import torch

_LOCK = threading.Lock()
_OPEN: list['ProcessSettings'] = []
_BEFORE: list[tuple[int, int]] = []    # threads of torch and OpenCV before the first one


class ProcessSettings:
    """Threads of torch, in the calling thread, and of OpenCV, until :meth:`close`.

    Several may be open at a time: those of the newest one hold, and the last one to be closed
    restores what was there before the first.

    :param torch_threads: None = as they are
    :param opencv_threads: optical flow and resizing; None = as they are
    """

    def __init__(self, *, torch_threads: Optional[int] = None,
                 opencv_threads: Optional[int] = None) -> None:
        self._torch, self._opencv = torch_threads, opencv_threads
        with _LOCK:
            if not _OPEN:
                _BEFORE[:] = [(torch.get_num_threads(), cv2.getNumThreads())]
            _OPEN.append(self)
            self._apply()

    def close(self) -> None:
        """Restore what was there before; further calls do nothing."""
        with _LOCK:
            if self not in _OPEN:
                return
            _OPEN.remove(self)
            torch.set_num_threads(_BEFORE[0][0])
            cv2.setNumThreads(_BEFORE[0][1])
            for other in _OPEN:
                other._apply()

    def _apply(self) -> None:
        if self._torch not in (None, torch.get_num_threads()):
            torch.set_num_threads(self._torch)
        if self._opencv is not None:
            cv2.setNumThreads(self._opencv)
