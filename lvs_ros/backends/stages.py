# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a backend computes for a pipeline: whole stages, not single operators."""

import dataclasses
from typing import Callable, Optional, Protocol, Sequence

import numpy as np
import torch

Lap = Callable[[str], None]    # ends a stage of that name


@dataclasses.dataclass(frozen=True)
class LowFeatures:
    """What is kept of a frame, so that deviation is measured and features are moved.

    :param low: (1, C_l, h, w), F_l
    :param embedding: (1, C_e, h, w), the kernel predictor's view of it; None where the propagation
        needs none
    :param detail: (1, C_d, H, W), what the detail head reads; None where there is none
    """

    low: torch.Tensor
    embedding: Optional[torch.Tensor]
    detail: Optional[torch.Tensor] = None


@dataclasses.dataclass(frozen=True)
class Source:
    """What is propagated.

    :param embedding: of its frame, see :class:`LowFeatures`
    :param high: (1, C_h, h, w), F_h of its frame
    :param displacement: (1, 2, h, w) float32 on the CPU, backward flow in positions: the content
        at (x, y) of the present frame was at (x, y) + displacement; None where the propagation
        uses none
    """

    embedding: Optional[torch.Tensor]
    high: torch.Tensor
    displacement: Optional[torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Output:
    """What labels are to look like.

    :param size: (height, width)
    :param content: (height, width) of the image that the network saw, before it was padded
    :param want_confidence: the softmax maximum, too
    :param smooth: changes the logits, (1, classes, h, w), before labels are made of them;
        None = nothing does
    """

    size: tuple[int, int]
    content: tuple[int, int]
    want_confidence: bool
    smooth: Optional[Callable[[torch.Tensor], torch.Tensor]] = None


@dataclasses.dataclass(frozen=True)
class Labels:
    """The labels of a frame.

    :param mask: (H, W) uint8 class ids
    :param confidence: (H, W) uint8, 0..255 = softmax maximum, or None
    :param high: (1, C_h, h, w), the F_h that they were made of
    """

    mask: np.ndarray
    confidence: Optional[np.ndarray]
    high: torch.Tensor


class Propagation(Protocol):
    """How features get from one frame to another; exchangeable, so that rows can be compared."""

    def embed(self, low: torch.Tensor) -> Optional[torch.Tensor]:
        """Return what is needed of a frame besides F_l, see :class:`LowFeatures`."""

    def move(self, source: Source, now: LowFeatures) -> torch.Tensor:
        """Return F_h of the present frame, (1, C_h, h, w).

        :param source: with its displacement on the device
        """


class Stages(Protocol):
    """The stages of a frame on one device. Inputs and results are there, unless told otherwise.

    A result on the device is valid until the same method is called again, but for those of
    :meth:`keep`, :meth:`high` and :meth:`refine`.

    :ivar untold: names of stages that are part of another one and cannot be told apart
    :ivar fallbacks: what is computed in a slower way than it should be, and why; may grow
    """

    untold: Sequence[str]
    fallbacks: list[str]

    def low(self, image: torch.Tensor) -> LowFeatures:
        """S_l of an image, (1, 3, H, W) uint8 RGB, of a size that features fit exactly."""

    def deviation(self, key: LowFeatures, now: LowFeatures) -> torch.Tensor:
        """Predicted fraction of changed labels, (1,) float32; not waited for.

        :param key: of the key frame, from :meth:`keep`
        """

    def label(self, source: Source, now: LowFeatures, output: Output, lap: Lap) -> Labels:
        """Propagate, adapt, classify, upsample and take the best class.

        :param source: its tensors are from :meth:`keep`, :meth:`high` or :meth:`refine`
        :param lap: told the end of those of the stages 'propagation', 'classify' and 'output' that
            can be told apart
        :raises NotFiniteError: naming the first of F_l, F_h and logits that is not finite.
        """

    def label_in_full(self, high: torch.Tensor, now: LowFeatures, output: Output, lap: Lap
                      ) -> Labels:
        """Do the same with F_h of the frame itself."""

    def high(self, low: torch.Tensor) -> torch.Tensor:
        """S_h, F_l → F_h; passes checkpoints."""

    def refine(self, high: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Flip averaging: the mean of F_h and that of the flipped image; passes checkpoints."""

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return what a result is for as long as it is needed."""

    @property
    def can_capture(self) -> bool:
        """Whether :meth:`capture` makes what has run faster."""

    @property
    def needs_capture(self) -> bool:
        """Whether something has run that would be faster if it were captured."""

    def capture(self) -> None:
        """Capture it; passes checkpoints. To be called between two frames."""
