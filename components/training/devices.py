"""Several devices, one process each: who reads what is components/training/data_order.py's matter, who holds what is this file's.

``ddp``: every process holds the whole model and its optimiser, and gradients are averaged. ``fsdp``: each holds its part of
both (FSDP2) and is lent the rest of a layer while it computes it. Either way the gradient of each micro-batch is averaged
before the next is computed: its norm is what the gradient noise scale is measured by.
"""

import signal
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from components.training.config import ComputeConfig
from components.transformer.model import GPT


def build_strategy(compute: ComputeConfig) -> Strategy | str:
    """Lightning's strategy for ``compute.strategy``."""
    if compute.strategy == "ddp":
        return DDPStrategy()
    if compute.strategy == "fsdp":
        return ModelParallelStrategy(data_parallel_size=compute.world_size, tensor_parallel_size=1)
    return "auto"


class KeepSettings(pl.Callback):
    """Takes back what Lightning changes in a process that it trains in.

    Threads, because a result depends on their number. The answer to SIGTERM, because Lightning's own waits for the other
    processes from within whatever it interrupts, for ever if that is a sum over devices.
    """

    def __init__(self, threads: int) -> None:
        self._threads, self._on_terminate = threads, signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """In each process, before its first step."""
        torch.set_num_threads(self._threads)
        signal.signal(signal.SIGTERM, self._on_terminate)


def shard(model: GPT, mesh: DeviceMesh) -> None:
    """Leave this process its part of every parameter, layer by layer; the embeddings stay whole between forward and backward pass.

    ``hidden`` is named because the loss calls it in place of ``forward``, and then reads the embedding. Differs from usual FSDP2:
    parameters are lent in float32 and autocast makes its bfloat16 copies, so that the numbers are those of one device.
    """
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    register_fsdp_forward_method(model, "hidden")


def reshard(model: GPT) -> None:
    """After a forward pass that no backward pass follows, give back what was lent."""
    if isinstance(model, FSDPModule):
        model.reshard()


def whole(value: Any) -> Any:
    """``value`` with each sharded tensor in it put together, on the CPU where it sits in a mapping.

    Every process must call it with the same keys in the same order.
    """
    if isinstance(value, DTensor):
        return value.full_tensor()
    if isinstance(value, dict):
        return {key: _on_cpu(part) for key, part in value.items()}
    return value


def _on_cpu(value: Any) -> Any:
    """One tensor at a time: the whole model need not fit on a device."""
    return whole(value).cpu() if isinstance(value, DTensor) else whole(value)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """``optimizer.load_state_dict`` of a whole state, of which a sharded optimiser takes its part."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    parts = {index: dict(_parts(parameters[index], values)) for index, values in state["state"].items()}
    optimizer.load_state_dict({**state, "state": parts})


def _parts(parameter: torch.Tensor, values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(parameter, DTensor) and value.shape == parameter.shape:
            value = distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements, src_data_rank=None)
        yield name, value


def whole_model(model: GPT) -> GPT:
    """``model``, or where it is sharded a copy that is not. Every process must call it."""
    if not isinstance(model, FSDPModule):
        return model
    weights = whole(model.state_dict())
    copy = GPT(model.config)
    copy.load_state_dict(weights)
    return copy


def seed_of_process(seed: int, rank: int) -> int:
    """Of the dropout of process ``rank`` but the first, which goes on from the initial weights as a single process does."""
    return int(np.random.SeedSequence([seed, rank]).generate_state(1)[0])


def of_all_processes(states: dict[str, torch.Tensor], trainer: pl.Trainer) -> dict[str, torch.Tensor]:
    """Each tensor [...] of this process as [W, ...] of all W in order of rank, on the CPU. Every process must call it."""
    return {name: _rows(state.to(trainer.strategy.root_device), trainer.world_size).cpu() for name, state in states.items()}


def _rows(own: torch.Tensor, world_size: int) -> torch.Tensor:
    if world_size == 1:
        return own[None]
    rows = [torch.empty_like(own) for _ in range(world_size)]
    torch.distributed.all_gather(rows, own)
    return torch.stack(rows)
