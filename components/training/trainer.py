"""A quiet Lightning Trainer: what it would log, draw or save by itself is done by the caller's callbacks."""

import logging
import signal
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.utils.deterministic

from components.errors import InputError
from components.training.config import ComputeConfig

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from torch.utils.data import DataLoader

# Lightning 2.6 warns of its own use of torch, of loaders without worker processes, and of a GPU left alone on request.
NOT_OURS = [r".*isinstance\(treespec, LeafSpec\).*", ".*does not have many workers.*", ".*GPU available but not used.*"]


def prepare(compute: ComputeConfig, seed: int) -> None:
    """Set threads and seed of this process, and on a CPU refuse operations whose result depends on timing.

    Raises:
        InputError: more GPUs are wanted than there are.
    """
    if compute.accelerator == "gpu" and (found := torch.cuda.device_count()) < compute.devices:
        wanted = f"compute.accelerator is gpu and compute.devices {compute.devices}"
        raise InputError(f"params.yaml: {wanted}, but torch sees {found} GPUs on this machine; lower it, or set the accelerator to cpu")
    torch.set_num_threads(compute.threads)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(compute.accelerator == "cpu")  # on a GPU it would need a variable of the environment
    # Nothing reads memory that it has not written: filling it first would be 5 % of a small step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def build_trainer(compute: ComputeConfig, max_steps: int, callbacks: "Sequence[Callback]") -> "Trainer":
    """A Trainer that runs ``max_steps`` steps and does nothing else; on several devices ``fit`` starts the processes that are not there."""
    for name in ("lightning.pytorch", "lightning.fabric.utilities.distributed"):  # no advertisement, no table of devices, no roll-call
        logging.getLogger(name).setLevel(logging.WARNING)
    from lightning.pytorch import Trainer

    from components.training.devices import KeepSettings, build_strategy

    return Trainer(
        accelerator=compute.accelerator,
        devices=compute.devices,
        num_nodes=compute.nodes,
        strategy=build_strategy(compute),
        precision=compute.precision,
        max_steps=max_steps,
        max_epochs=-1,
        callbacks=[*callbacks, KeepSettings(compute.threads)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def fit(trainer: "Trainer", module: "LightningModule", batches: "DataLoader[Any]") -> None:
    """``trainer.fit`` that lets Ctrl-C through as KeyboardInterrupt: Lightning would end the process with status 1.

    A failure ends the processes that this one started: they would wait for it in the next sum over devices.
    """
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings():
            for message in NOT_OURS:
                warnings.filterwarnings("ignore", message=message)
            trainer.fit(module, batches)
    except BaseException as error:
        for process in getattr(trainer.strategy.launcher, "procs", []):
            process.kill()
            process.wait()
        if not isinstance(error, SystemExit) or not trainer.interrupted:
            raise
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, on_interrupt)
