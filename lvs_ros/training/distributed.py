# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Training on several GPUs: the processes that torchrun starts, one for each.

In a single process, everything here works as in a group of one, of rank 0. In a larger group, the
same tensors go over gloo when they are on the CPU and over NCCL when they are on a GPU; what the
processes have to agree on at each step (when to stop) therefore never synchronises with a GPU.
"""

import contextlib
import os
from typing import Any, Callable, Iterator, Mapping

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from lvs_ros.errors import ConfigurationError

Losses = Mapping[str, torch.Tensor]


def is_started_by_torchrun() -> bool:
    """Whether this process is one of a group, by the variables that torchrun sets."""
    return 'LOCAL_RANK' in os.environ and 'WORLD_SIZE' in os.environ


def local_device_name(name: str) -> str:
    """Name of this process's own device, given what the user asked for.

    :param name: auto, cpu, cuda, or a device of its own such as cuda:1
    :raises ConfigurationError: when the processes of one machine would not get a GPU each.
    """
    local_rank = int(os.environ.get('LOCAL_RANK', 0))
    if not is_started_by_torchrun() or name == 'cpu':
        return name
    if name not in ('auto', 'cuda'):
        raise ConfigurationError(
            f'device {name!r} was asked for in a training by torchrun, which gives every process '
            'its own GPU: expected auto or cpu; leave --device away')
    if not torch.cuda.is_available():
        return name
    if local_rank >= torch.cuda.device_count():
        raise ConfigurationError(
            f'torchrun started {local_rank + 1} or more processes on a machine with '
            f'{torch.cuda.device_count()} GPU: expected one process for each; lower '
            '--nproc-per-node')
    return f'cuda:{local_rank}'


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the other processes that torchrun started, for the length of the block.

    Does nothing in a process that torchrun did not start.
    """
    if not is_started_by_torchrun():
        yield
        return
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    distributed.init_process_group('cpu:gloo,cuda:nccl' if device.type == 'cuda' else 'gloo')
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """Return the number of this process, 0 for the one that writes and shows."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_main() -> bool:
    """Whether this process is the one that writes files and talks to the user."""
    return rank() == 0


def share_of(batch_size: int) -> int:
    """Return this process's part of a batch.

    :raises ConfigurationError: when it cannot be shared evenly.
    """
    if batch_size % size():
        raise ConfigurationError(
            f'a batch of {batch_size} cannot be shared evenly among {size()} processes; expected '
            f'a --batch-size that {size()} divides')
    return batch_size // size()


def largest(*values: float) -> tuple[float, ...]:
    """Return, for each value, the largest of all processes."""
    if size() == 1:
        return values
    shared = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(shared, distributed.ReduceOp.MAX)
    return tuple(shared.tolist())


def mean_of(values: torch.Tensor) -> torch.Tensor:
    """Return the mean over the processes; not finite where it is not in one of them."""
    if size() == 1:
        return values
    shared = values.clone()
    distributed.all_reduce(shared)
    return shared / size()


def gathered(value: Any) -> list[Any]:
    """Return the values of all processes, by rank."""
    if size() == 1:
        return [value]
    values: list[Any] = [None] * size()
    distributed.all_gather_object(values, value)
    return values


def copy_from_main(module: nn.Module) -> None:
    """Set the weights and buffers of ``module`` to those of rank 0."""
    if size() > 1:
        for value in module.state_dict().values():
            distributed.broadcast(value, 0)


def share_batch_norm(trained: nn.Module) -> None:
    """Let batch norm see the whole batch and not only the part of one GPU, in place.

    The crops are so large that only a few of them fit a GPU, and the size of the batch in batch
    norm matters (PSPNet, section 5.1). On the CPU, where torch has no such layer, every process
    normalises its own part.
    """
    if size() > 1 and next(trained.parameters()).device.type == 'cuda':
        nn.SyncBatchNorm.convert_sync_batchnorm(trained)


class _Computation(nn.Module):
    """The computation of the losses as the ``forward`` of a module.

    DistributedDataParallel averages the gradients of the parameters of *one* module around its
    forward. Ours are spread over parts that are called one by one, so their common module is made
    here.
    """

    def __init__(self, trained: nn.Module, compute_losses: Callable[[], Losses]) -> None:
        super().__init__()
        self.trained = trained
        self._compute_losses = compute_losses

    def forward(self) -> dict[str, torch.Tensor]:
        return dict(self._compute_losses())


def shared_computation(trained: nn.Module, compute_losses: Callable[[], Losses]
                       ) -> Callable[[], Losses]:
    """Return ``compute_losses``, such that ``backward`` averages gradients over the processes.

    Every process starts with the weights and buffers of rank 0, and takes over its buffers (the
    running statistics of batch norm) before every step.
    """
    if size() == 1:
        return compute_losses
    return DistributedDataParallel(_Computation(trained, compute_losses),
                                   gradient_as_bucket_view=True)
