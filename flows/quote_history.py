"""Past runs of MLflow as evidence about what a cell of today will take."""

import argparse
import importlib
import shlex
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.costing.estimate import Estimate, Estimator, Past, repeat_scatter
from flows import graph, params, provenance, tracking
from flows.runs import Recorded

if TYPE_CHECKING:
    from pydantic import BaseModel

FLOPS = "train_flops"
STAGES = "flows.stages."
CAPABILITY = "capability."  # places of params.yaml
PRETRAINS = ("model.d_model", "training.train_tokens", "compute.threads")  # what a stage reads that pre-trains
Work = tuple[float, ...]
# Time, memory, disk: in which metric of a run each is.
QUANTITIES = (tracking.DURATION_SECONDS, tracking.PEAK_MEMORY_BYTES, tracking.DISK_BYTES)


def module_of(command: str) -> str:
    """The module that a command of dvc.yaml runs, "" where it is not ``python -m``."""
    words = shlex.split(command)
    return words[2] if words[:2] == ["python", "-m"] and len(words) > 2 else ""


class History:
    """Finished runs on this device, by the module that ran."""

    def __init__(self, past: Sequence[Recorded], modules: Mapping[str, str]) -> None:
        """``modules``: stage of dvc.yaml -> module; runs of other stages are left out."""
        self._by_module: defaultdict[str, list[Recorded]] = defaultdict(list)
        for run in past:
            module = modules.get(run.tags.get("stage", ""), "")
            if module and is_evidence(run):
                self._by_module[module].append(run)
        self._estimators = {name: self._estimators_of(name) for name in QUANTITIES}

    def _estimators_of(self, quantity: str) -> dict[str, Estimator]:
        kinds = {module: [_past(run, quantity) for run in runs] for module, runs in self._by_module.items()}
        scatter = repeat_scatter(list(kinds.values()))
        return {module: Estimator(past, scatter) for module, past in kinds.items()}

    def estimates(self, cell: graph.Cell) -> tuple[Estimate | None, Estimate | None, Estimate | None]:
        """Time [s], memory [bytes] and disk [bytes] of a cell as dvc.yaml and params.yaml have it now."""
        values, seed = cell_values(cell.command)
        key = _key(cell.name, seed, values)
        seconds, memory, disk = (self._estimate(quantity, cell.command, key, values) for quantity in QUANTITIES)
        return seconds, memory, disk

    def _estimate(self, quantity: str, command: str, key: Hashable, values: Mapping[str, str]) -> Estimate | None:
        estimator = self._estimators[quantity].get(module_of(command))
        return estimator.estimate(key, _work(values, self.flops(command), quantity)) if estimator else None

    def flops(self, command: str) -> float:
        """Operations of training, 0 for a stage that does not pre-train."""
        values = cell_values(command)[0]
        return train_flops(values, stream_of(command).vocab_size) if all(name in values for name in PRETRAINS) else 0.0


@dataclass(frozen=True)
class Stream:
    """What a cell pre-trains on, as params.yaml has it: nothing need have run."""

    vocab_size: int
    held_out_tokens: float


@dataclass(frozen=True)
class CellOptions:
    """What a command of dvc.yaml gives to its stage."""

    apply: Sequence[str]
    """Places of overrides in params.yaml."""
    seed: int
    values: Sequence[str]
    """Of all its other options: paths, mostly."""


def cell_sections(command: str) -> tuple["BaseModel", CellOptions]:
    """The parameters that a command of dvc.yaml would read now, overrides applied, and its options; the module must be a stage."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--apply", action="append", default=[])
    parser.add_argument("--seed", type=int, default=0)
    args, others = parser.parse_known_args(shlex.split(command)[3:])
    loaded = params.load(importlib.import_module(module_of(command)).Sections, args.apply)
    return loaded, CellOptions(args.apply, args.seed, [word for word in others if not word.startswith("--")])


def cell_values(command: str) -> tuple[dict[str, str], str]:
    """The parameters of a command of dvc.yaml as its run would report them to MLflow, and its seed; none if it is no stage."""
    if not module_of(command).startswith(STAGES):
        return {}, "0"
    loaded, options = cell_sections(command)
    return tracking.as_params(loaded), str(options.seed)


def stream_of(command: str) -> Stream:
    """The one stream of the graph, or that of the family of models whose pass rates are forecast."""
    from components.capability.tokens import VOCAB_SIZE

    values = params.read_yaml()
    if any(place.startswith(CAPABILITY) for place in cell_sections(command)[1].apply):
        return Stream(VOCAB_SIZE, float(params.lookup(values, f"{CAPABILITY}problems.held_out_tokens")))
    held_out = float(params.lookup(values, "curation.held_out_share")) * float(params.lookup(values, "tokenization.stream_tokens"))
    return Stream(int(params.lookup(values, "tokenization.vocab_size")), held_out)


def train_flops(values: Mapping[str, str], vocab_size: int) -> float:
    """Operations of a training cell of today."""
    from components.transformer import accounting
    from components.transformer.config import TransformerConfig

    shape = {name: int(values[f"model.{name}"]) for name in ("context_length", "num_layers", "d_model", "num_heads")}
    pattern, band = values["model.attention_pattern"], values["model.band_tokens"]
    attention = {"attention_pattern": pattern, "band_tokens": int(band) if band.isdigit() else None}
    uncounted = {"norm_placement": "pre", "dropout": 0.0, "token_embedding_std": 1.0}
    config = TransformerConfig.model_validate(shape | attention | uncounted | {"vocab_size": vocab_size})
    batch_tokens = int(values["training.batch_tokens"])
    return float(accounting.train_flops(config, int(values["training.train_tokens"]) // batch_tokens * batch_tokens))


def is_evidence(run: Recorded) -> bool:
    """Whether it ran on a device like this one, and says what it took."""
    return run.tags.get("device") == provenance.device() and all(run.metrics.get(name, 0) > 0 for name in QUANTITIES)


def _past(run: Recorded, quantity: str) -> Past:
    return Past(key_of(run), _work(run.params, run.metrics.get(FLOPS, 0.0), quantity), run.metrics[quantity])


def key_of(run: Recorded) -> Hashable:
    """Equal for runs alike: of the same cell but for its seed, with the same parameters."""
    return _key(run.cell, run.tags.get("seed", "0"), {name: value for name, value in run.params.items() if name != "seed"})


def _key(cell: str, seed: str, values: Mapping[str, str]) -> Hashable:
    return cell.removesuffix(f"-{seed}"), frozenset(values.items())


def _work(values: Mapping[str, str], flops: float, quantity: str) -> Work:
    """Terms that the quantity is a sum of. What trains nothing has one term: it takes what it took."""
    if not flops:
        return (1.0,)
    layers, width, context = (int(values[f"model.{name}"]) for name in ("num_layers", "d_model", "context_length"))
    batch_tokens, micro = int(values["training.batch_tokens"]), int(values["training.micro_batch_sequences"])
    passes = -(-batch_tokens // (context * micro))
    if quantity == tracking.DURATION_SECONDS:  # start, arithmetic, and what every layer of every pass costs however small it is
        return (1.0, flops, int(values["training.train_tokens"]) // batch_tokens * passes * layers)
    weights = 12.0 * layers * width**2
    if quantity == tracking.DISK_BYTES:
        return (1.0, weights, float(width))  # blocks; embeddings
    return (1.0, weights, float(min(micro * context, batch_tokens) * layers * width))  # weights; activations of one pass
