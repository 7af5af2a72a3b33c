"""What a step of the pretrain stage costs over the bare step of the same model, and what its gradient noise scale costs."""

import os
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks.peers.training_steps import Shape, autocast, ours
from components.training.config import ComputeConfig, TrainingConfig
from components.training.pretrain import STEPS_PER_CALL
from components.transformer.config import ModelConfig
from flows import params, tracking

if TYPE_CHECKING:
    from torch import Tensor

    from components.artifacts import TokenShards

RUNG = "ladder.rungs.r1"  # the smallest
VOCAB_SIZE = 2048
STEPS = 300
SKIPPED = 20  # of the first, which make the optimiser's state
GROUP = STEPS_PER_CALL  # steps of one call of Lightning's


class Sections(params.Sections):
    """What the stage reads."""

    model: ModelConfig
    training: TrainingConfig
    compute: ComputeConfig


def overhead_ms(folder: Path) -> float:
    """A step of a tracked run, less the bare step right before and after it [ms]; medians over groups of ``GROUP`` steps.

    In processor time of this process, one thread: the whole of it on a quiet machine, and the same on a busy one.
    """
    from components.training.trainer import prepare

    loaded = params.load(Sections, [RUNG])
    prepare(loaded.compute, seed=0)
    bare = [_bare_seconds(loaded)]
    product = _product_seconds(loaded, folder)
    bare.append(_bare_seconds(loaded))
    return 1000 * (product - sum(bare) / len(bare))


def _product_seconds(loaded: Sections, folder: Path) -> float:
    """A whole run as flows/stages/pretrain_model.py makes it, into an MLflow store of its own."""
    from components.training.pretrain import PretrainConfig, pretrain
    from components.training.resume import StateFile

    tokens = STEPS * loaded.training.batch_tokens
    update = {"train_tokens": tokens, "warmup_tokens": 0, "curve_points": 1, "curve_tokens": loaded.model.context_length}
    config = PretrainConfig(loaded.model, loaded.training.model_copy(update=update), loaded.compute)
    shards, ticks = _tokens(folder, tokens + loaded.model.context_length + 1), list[float]()
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    with tracking.run("pretrain", [], 0, loaded) as run:

        def on_row(row: dict[str, float]) -> None:
            run.log_rows([row])
            ticks.append(time.process_time())

        pretrain(shards, config, 0, folder / "out", StateFile(folder / "state", {}, every_steps=tokens), on_row)
    return _per_step(ticks)


def _per_step(ticks: Sequence[float]) -> float:
    """From the times at which steps ended: what a call of Lightning's costs is shared by the steps that it takes."""
    ends = ticks[SKIPPED::GROUP]
    return median(end - start for start, end in pairwise(ends)) / GROUP


def _tokens(folder: Path, num_tokens: int) -> "TokenShards":
    from components.artifacts import TokenShards, write_manifest
    from components.tokenization.shards import StreamDocument, write_stream

    folder.mkdir(parents=True)
    splits = {}
    for split, length in (("train", num_tokens), ("held_out", num_tokens // 100)):
        document = StreamDocument("benchmark:0", "benchmark", 0, length, [number * 7919 % VOCAB_SIZE for number in range(length)])
        splits[split] = write_stream(folder / split, [document], shard_tokens=num_tokens)
    write_manifest(folder, "token_shards", vocab_size=VOCAB_SIZE, splits=splits)
    return TokenShards(folder)


def _bare_seconds(loaded: Sections) -> float:
    model, training = loaded.model, loaded.training
    sequences = training.batch_tokens // model.context_length
    step = ours(Shape("rung", model.num_layers, model.d_model, model.num_heads, VOCAB_SIZE, model.context_length, sequences), bf16=False)
    ticks = []
    for _ in range(STEPS // 2):
        step()
        ticks.append(time.process_time())
    return _per_step(ticks)


def noise_scale_percent(shape: Shape, bf16: bool, micro_batches: int, repeats: int) -> list[float]:
    """Share of a step [%] that goes into the norms of its micro-batches and the estimate, once for each step.

    In processor time, of the code that the stage runs, less what adding the gradients and their norm for the clipping take torch
    right after: both would be there without the estimate.
    """
    import torch

    from components.training.gradient_sum import GradientSum
    from components.training.lit_model import LitGPT, _clip
    from components.transformer.model import GPT

    class Bare(LitGPT):
        """Without a Trainer."""

        def manual_backward(self, loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
            loss.backward()  # type: ignore[no-untyped-call]

    training = params.load(Sections, []).training
    module, spent = Bare(GPT(shape.config()), training), _Stopwatch()
    optimizer = module.configure_optimizers()
    parameters: list[torch.Tensor] = list(module.model.parameters())
    parts = torch.chunk(shape.tokens(), micro_batches)
    shares = []
    with autocast(bf16):
        for _ in range(1 + repeats):
            start, spent.seconds = time.process_time(), 0.0
            with spent.on(GradientSum, "add"), spent.on(GradientSum, "norm"):
                _, gradients = module._accumulate_gradients(parts, parameters)
                norm = gradients.norm()
            module.last_row = {"grad_norm": _clip(parameters, norm, training.grad_clip_norm)}
            with spent.on(module, "_measure_noise"):
                module._measure_noise(parts, gradients.norms())
            optimizer.step()
            step_seconds = time.process_time() - start
            shares.append(100 * (spent.seconds - _seconds_without_estimate(gradients.of_sum, micro_batches)) / step_seconds)
            module.zero_grad()
    return shares[1:]


def _seconds_without_estimate(gradients: "Sequence[Tensor]", micro_batches: int) -> float:
    """Processor seconds of the sum of so many micro-batches' gradients and of its norm, by torch."""
    import torch

    total = [gradient.clone() for gradient in gradients]
    start = time.process_time()
    for _ in range(micro_batches - 1):
        torch._foreach_add_(total, list(gradients))
    torch.nn.utils.get_total_norm(total)
    return time.process_time() - start


class _Stopwatch:
    """Processor seconds in the functions that it watches."""

    seconds = 0.0

    def on(self, owner: Any, name: str) -> Any:
        """Watch ``owner.name`` within the context."""
        function = getattr(owner, name)

        def timed(*args: Any) -> Any:
            start = time.process_time()
            result = function(*args)
            self.seconds += time.process_time() - start
            return result

        return patch.object(owner, name, timed)
