# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The state of the random number generators that a stage draws from, to be kept and put back."""

import dataclasses
from typing import Any, Mapping, Optional

import numpy as np
import torch


@dataclasses.dataclass(frozen=True)
class RandomState:
    """Where the generators of one process stand.

    :param torch_cpu: uint8, of torch's global generator
    :param torch_cuda: uint8, of the generator of the training device; None without a GPU
    :param numpy: of the sampler's generator, in what JSON can hold; None where there is none
    """

    torch_cpu: torch.Tensor
    torch_cuda: Optional[torch.Tensor]
    numpy: Optional[Mapping[str, Any]]

    @classmethod
    def capture(cls, device: torch.device,
                generator: Optional[np.random.Generator]) -> 'RandomState':
        """Note where the generators stand.

        :param generator: made by ``numpy.random.default_rng``
        """
        return cls(
            torch.get_rng_state(),
            torch.cuda.get_rng_state(device) if device.type == 'cuda' else None,
            None if generator is None else dict(generator.bit_generator.state))

    def restore(self, device: torch.device, generator: Optional[np.random.Generator]) -> None:
        """Set the generators back to where they stood; what was not noted stays as it is.

        :raises ValueError: when the state is not one of this kind of generator.
        """
        if generator is not None and self.numpy is not None:
            generator.bit_generator.state = self.numpy
        torch.set_rng_state(self.torch_cpu)
        if device.type == 'cuda' and self.torch_cuda is not None:
            torch.cuda.set_rng_state(self.torch_cuda, device)
