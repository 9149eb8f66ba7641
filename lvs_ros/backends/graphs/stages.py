# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The stages of a frame, each captured as a graph after it has run once at an image size."""

import collections
import dataclasses
import functools
import warnings
from typing import Any, Callable, Hashable, Iterator, Optional, Sequence, cast

import torch
from torch import nn

from lvs_ros.backends.graphs.capture import CapturedFunction, Tensors, capture
from lvs_ros.backends.graphs.pieces import capture_in_pieces, measure
from lvs_ros.backends.graphs.recorder import Recorder
from lvs_ros.backends.network_stages import LabelsOnDevice, NetworkStages
from lvs_ros.backends.stages import Lap, LowFeatures, Output, Propagation, Source
from lvs_ros.checkpoints import checkpoint
from lvs_ros.model import SegmentationNetwork
from lvs_ros.ops.geometry import STRIDE

_SIZES = 3          # image sizes whose graphs are kept, those that were used last
_FUNCTIONS = 16     # of a size: four, and two for each kind of output
_LONGEST_PIECE_MS, _LONGEST_PIECE_SHARE = 0.5, 0.25    # of S_h; the share of a frame's time


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """A function to be captured.

    :param inputs: of its first call
    :param in_place: numbers of the inputs whose memory itself is to be read; a graph writes it
    :param modules: its convolutions, if it is to be cut into pieces
    """

    function: Callable[..., Tensors]
    inputs: Tensors
    in_place: Sequence[int]
    modules: Optional[Sequence[nn.Module]]


class _Size:
    """What was captured, and what is to be, at one image size.

    :param pool: memory of the graphs of a frame
    """

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.captured: dict[Hashable, CapturedFunction] = {}
        self.wanted: dict[Hashable, _Wanted] = {}

    def is_low(self, tensor: Optional[torch.Tensor]) -> bool:
        """Tell whether a tensor is what the graph of S_l writes."""
        return 'low' in self.captured and any(
            tensor is output for output in self.captured['low'].outputs)


class GraphStages(NetworkStages):
    """See :class:`~lvs_ros.backends.stages.Stages`.

    At a new image size everything is computed kernel by kernel until :meth:`capture` was called;
    and always, where a graph could not be captured.

    :param network: in evaluation mode, on its device
    :param recorder: captures on that device
    """

    untold: Sequence[str] = ('classify',)

    def __init__(self, network: SegmentationNetwork, propagation: Propagation,
                 recorder: Recorder) -> None:
        super().__init__(network, propagation)
        self._recorder = recorder
        self._sizes: collections.OrderedDict[tuple[int, ...], _Size] = collections.OrderedDict()
        self._has_failed = False

    # The stages.

    def low(self, image: torch.Tensor) -> LowFeatures:
        """S_l."""
        def function(image: torch.Tensor) -> Tensors:
            low = NetworkStages.low(self, image)
            return low.low, low.embedding, low.detail

        low, embedding, detail = self._call('low', _positions(image), function, (image,))
        return LowFeatures(cast(torch.Tensor, low), embedding, detail)

    def deviation(self, key: LowFeatures, now: LowFeatures) -> torch.Tensor:
        """Predicted fraction of changed labels."""
        def function(before: torch.Tensor, low: torch.Tensor) -> Tensors:
            return self._network.deviation(before, low),

        deviation, = self._call('deviation', now.low.shape[2:], function, (key.low, now.low),
                                lasting=(0,), in_place=(1,))
        return cast(torch.Tensor, deviation)

    def _propagate(self, source: Source, now: LowFeatures, output: Output, lap: Lap
                   ) -> LabelsOnDevice:
        if output.smooth is not None:
            return super()._propagate(source, now, output, lap)

        def function(embedding: Optional[torch.Tensor], high: torch.Tensor,
                     displacement: Optional[torch.Tensor], low: torch.Tensor,
                     own: Optional[torch.Tensor], detail: Optional[torch.Tensor]) -> Tensors:
            moved = self._propagation.move(Source(embedding, high, displacement),
                                           LowFeatures(low, own))
            return NetworkStages._classify(self, moved, detail, output, _no_lap)

        labels = self._call(
            ('propagate', *_kind(output)), now.low.shape[2:], function,
            (source.embedding, source.high, source.displacement, now.low, now.embedding,
             now.detail), lasting=(0, 1), in_place=(3, 4, 5))
        lap('propagation')
        return LabelsOnDevice(*labels)  # type: ignore[arg-type]

    def _classify(self, high: torch.Tensor, detail: Optional[torch.Tensor], output: Output,
                  lap: Lap) -> LabelsOnDevice:
        if output.smooth is not None:
            return super()._classify(high, detail, output, lap)

        def function(high: torch.Tensor, detail: Optional[torch.Tensor]) -> Tensors:
            return NetworkStages._classify(self, high, detail, output, _no_lap)

        labels = self._call(('classify', *_kind(output)), high.shape[2:], function,
                            (high, detail))
        lap('propagation')
        return LabelsOnDevice(*labels)  # type: ignore[arg-type]

    def high(self, low: torch.Tensor) -> torch.Tensor:
        """S_h."""
        def function(low: torch.Tensor) -> Tensors:
            return self._network.high(low),

        high, = self._call('high', low.shape[2:], function, (low,),
                           modules=self._convolutions)
        return self._result(high)

    def refine(self, high: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Flip averaging."""
        def function(high: torch.Tensor, image: torch.Tensor) -> Tensors:
            return self._network.refine(high, image),

        refined, = self._call('refine', high.shape[2:], function, (high, image),
                              modules=self._convolutions)
        return self._result(refined)

    def _result(self, high: Optional[torch.Tensor]) -> torch.Tensor:
        """Keep a result of S_h, and let a frame that waits go before its last piece ends."""
        kept = self.keep(cast(torch.Tensor, high))
        checkpoint()
        return kept

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copy it: a graph may overwrite it."""
        return tensor.clone()

    # Graphs.

    def _call(self, name: Hashable, positions: Sequence[int], function: Callable[..., Tensors],
              inputs: Tensors, *, lasting: Sequence[int] = (), in_place: Sequence[int] = (),
              modules: Optional[Sequence[nn.Module]] = None) -> Tensors:
        """Replay a function; or call it, and note that it is to be captured.

        :param positions: height and width of the features
        :param lasting: numbers of the inputs that nobody writes to any more
        :param in_place: numbers of those that the graph of S_l writes, and this one is to read
        :param modules: the convolutions of what is to be cut into pieces
        """
        if self._has_failed:
            return function(*inputs)
        size = self._size(tuple(positions))
        captured = size.captured.get(name)
        if captured is None:
            if all(inputs[index] is None or size.is_low(inputs[index]) for index in in_place):
                size.wanted.setdefault(name, _Wanted(function, inputs, in_place, modules))
        # A frame may be computed in full while a job is between two pieces of the same S_h.
        elif not captured.is_running:
            return captured(*inputs, lasting=lasting)
        return function(*inputs)

    def _size(self, positions: tuple[int, ...]) -> _Size:
        size = self._sizes.get(positions)
        if size is None or len(size.captured) >= _FUNCTIONS:
            size = self._sizes[positions] = _Size(self._recorder.new_pool())
        self._sizes.move_to_end(positions)
        if len(self._sizes) > _SIZES:
            self._sizes.popitem(last=False)
        return size

    @property
    def can_capture(self) -> bool:
        """Whether graphs are captured here; False once it has failed."""
        return not self._has_failed

    @property
    def needs_capture(self) -> bool:
        """Whether :meth:`capture` has something to do."""
        return any(size.wanted for size in self._sizes.values())

    @torch.inference_mode()
    def capture(self) -> None:
        """Capture what has run; between two graphs, and between pieces, passes a checkpoint."""
        for size, name in self._order():
            wanted = size.wanted.pop(name)
            try:
                size.captured[name] = self._captured(size, wanted)
            except Exception as error:  # noqa: B902: whatever it is, there is another way
                self._give_up(f'{type(error).__name__}: {error}'.strip().split('\n')[0])
                return

    def _order(self) -> Iterator[tuple[_Size, Hashable]]:
        """Return what is to be captured; first what is not cut, as its time says how long pieces
        may be."""
        for size in list(self._sizes.values()):
            yield from [(size, name) for name, wanted in size.wanted.items()
                        if wanted.modules is None]
            yield from [(size, name) for name in list(size.wanted)]

    def _captured(self, size: _Size, wanted: _Wanted) -> CapturedFunction:
        inputs = tuple(tensor if tensor is None or index in wanted.in_place else tensor.clone()
                       for index, tensor in enumerate(wanted.inputs))
        if wanted.modules is None:
            return capture(self._recorder, size.pool, wanted.function, inputs)
        return capture_in_pieces(
            self._recorder, wanted.function, inputs, wanted.modules,
            longest_ms=max(_LONGEST_PIECE_MS, _LONGEST_PIECE_SHARE * self._frame_ms(size)))

    def _frame_ms(self, size: _Size) -> float:
        """Return how long a frame takes at least, as far as it was captured."""
        graphs = [graph for name, captured in size.captured.items()
                  if name == 'low' or name[0] == 'classify'  # type: ignore[index]
                  for graph in captured.graphs]
        return sum(measure(self._recorder, graphs))

    def _give_up(self, reason: str) -> None:
        self._has_failed = True
        self._sizes.clear()
        self.fallbacks.append(f'no captured graphs: every kernel is launched by itself ({reason})')
        warnings.warn(f'frames take longer on {self._device}: {self.fallbacks[-1]}')

    @functools.cached_property
    def _convolutions(self) -> list[nn.Module]:
        """Of S_h, and of S_l, which flip averaging runs, too."""
        return [module for part in (self._network.backbone, self._network.head)
                for module in part.modules() if hasattr(module, 'pieces')]


def _positions(image: torch.Tensor) -> tuple[int, ...]:
    return tuple(-(-side // STRIDE) for side in image.shape[2:])


def _no_lap(stage: str) -> None:
    """Tell nobody: what a graph does in between cannot be told apart."""


def _kind(output: Output) -> tuple[Any, ...]:
    return output.size, output.content, output.want_confidence
