# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether a GPU still computes after an error.

CUDA has errors that stick: after an access to a wrong address, or a failed assertion in a kernel,
every further call of the process fails. Nothing but a new process helps.
"""

from typing import Callable, Optional

import torch


def use(device: torch.device) -> None:
    """Let the device do something, and wait for it."""
    torch.zeros(1, device=device)
    torch.cuda.synchronize(device)


def lasting_error(device: torch.device,
                  use: Callable[[torch.device], None] = use) -> Optional[str]:
    """Return why nothing can be computed on the device any more; None = it works.

    To be called after an error. Too little memory is none that lasts.

    :param use: what a device that works can do
    """
    if device.type != 'cuda':
        return None
    try:
        use(device)
    except torch.OutOfMemoryError:
        return None
    except RuntimeError as error:
        return str(error).strip().split('\n')[0]
    return None
