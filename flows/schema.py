"""All of params.yaml, typed: ``python -m flows.schema`` checks the file before anything runs.

A stage checks the sections that it reads. This looks at the whole: no section that nobody knows, and every mapping of
overrides (a rung, an arm, the target) names parameters that exist and values that are allowed.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.curation.config import CurationConfig, MixtureConfig
from components.errors import InputError
from components.evaluation.config import EvaluationConfig, ProtocolConfig
from components.finetuning.config import FinetuningConfig
from components.scaling.config import ExtrapolationConfig, LadderConfig
from components.sources.config import SourceConfig
from components.studies.config import StudyConfig
from components.tasks.config import TasksConfig
from components.tokenization.config import TokenizationConfig
from components.training.config import ComputeConfig, TrainingConfig
from components.transformer.config import ModelConfig
from flows import params


class Params(params.Sections):
    """Every section of params.yaml."""

    sources: dict[str, SourceConfig]
    curation: CurationConfig
    mixture: MixtureConfig
    tokenization: TokenizationConfig
    model: ModelConfig
    training: TrainingConfig
    compute: ComputeConfig
    ladder: LadderConfig
    target: dict[str, Any]
    tasks: TasksConfig
    finetuning: FinetuningConfig
    evaluation: EvaluationConfig
    protocol: ProtocolConfig
    extrapolation: ExtrapolationConfig
    studies: dict[str, StudyConfig]
    full_studies: dict[str, StudyConfig]


def check(path: Path = params.PARAMS_FILE) -> Params:
    """The typed parameters; InputError names the key that is missing, unknown, mistyped or out of range."""
    unknown = sorted(set(params.read_yaml(path)) - set(Params.model_fields))
    if unknown:
        raise InputError(f"{path}: {unknown[0]} is not a known section; mend the name or remove it")
    whole = params.load(Params, path=path)
    for apply in cells(whole):
        params.load(Params, apply, path)
    return whole


def cells(whole: Params) -> Iterator[list[str]]:
    """The places in params.yaml whose overrides make each kind of cell."""
    yield ["target"]
    yield from ([f"ladder.rungs.{rung}"] for rung in whole.ladder.rungs)
    for name, study in whole.studies.items():
        yield from ([f"studies.{name}.common", f"studies.{name}.arms.{arm}"] for arm in study.arms)


def main() -> int:
    """Print one line for the first mistake; exit status 2 when there is one."""
    try:
        check()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
