"""Data-parallel training in several processes that ``torchrun`` starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import distributed, nn


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the process group of torchrun, if there is one: NCCL for GPUs, gloo for CPUs."""
    if "WORLD_SIZE" not in os.environ or distributed.is_initialized():
        yield
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def local_device(device: torch.device) -> torch.device:
    """The GPU of this process where torchrun started several on a machine; otherwise ``device``."""
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


def rank() -> int:
    """Number of this process; 0 for a single process."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """Number of processes that train together; 1 for a single process."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their mean over all processes, which have equal shares of the batch."""
    if world_size() == 1:
        return
    average([parameter.grad for parameter in parameters if parameter.grad is not None])


def average(tensors: list[torch.Tensor]) -> None:
    """Replace tensors of one dtype by their mean over all processes, in one exchange."""
    if world_size() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= world_size()
    means = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, mean in zip(tensors, means, strict=True):
        tensor.copy_(mean.view_as(tensor))


def of_first_process(values: Sequence[float], device: torch.device) -> list[float]:
    """The values of the first process, in all of them; for what each process measures and all must agree on.

    Args:
        values: The same number of values in each process.
        device: Of this process.
    """
    if world_size() == 1:
        return list(values)
    shared = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.broadcast(shared, 0)
    return shared.tolist()


def wait_for_all() -> None:
    """Wait until all processes have arrived here."""
    if world_size() > 1:
        distributed.barrier()
