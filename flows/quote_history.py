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
        here = provenance.device()
        for run in past:
            module = modules.get(run.tags.get("stage", ""), "")
            if module and run.tags.get("device") == here and all(run.metrics.get(name, 0) > 0 for name in QUANTITIES):
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
        return train_flops(values) if all(name in values for name in PRETRAINS) else 0.0


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


def train_flops(values: Mapping[str, str]) -> float:
    """Operations of a training cell of today, with the vocabulary of params.yaml."""
    from components.transformer import accounting
    from components.transformer.config import TransformerConfig

    vocabulary = int(params.lookup(params.read_yaml(), "tokenization.vocab_size"))
    shape = {name: int(values[f"model.{name}"]) for name in ("context_length", "num_layers", "d_model", "num_heads")}
    pattern, band = values["model.attention_pattern"], values["model.band_tokens"]
    attention = {"attention_pattern": pattern, "band_tokens": int(band) if band.isdigit() else None}
    uncounted = {"norm_placement": "pre", "dropout": 0.0, "token_embedding_std": 1.0}
    config = TransformerConfig.model_validate(shape | attention | uncounted | {"vocab_size": vocabulary})
    batch_tokens = int(values["training.batch_tokens"])
    return float(accounting.train_flops(config, int(values["training.train_tokens"]) // batch_tokens * batch_tokens))


def _past(run: Recorded, quantity: str) -> Past:
    seed = run.tags.get("seed", "0")
    values = {name: value for name, value in run.params.items() if name != "seed"}
    return Past(_key(run.cell, seed, values), _work(values, run.metrics.get(FLOPS, 0.0), quantity), run.metrics[quantity])


def _key(cell: str, seed: str, values: Mapping[str, str]) -> Hashable:
    """Runs alike: the cell but for its seed, and its parameters."""
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
