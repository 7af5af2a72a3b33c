"""All of params.yaml, typed: ``python -m flows.schema`` checks the file before anything runs.

A stage checks the sections that it reads. This looks at the whole, as every launch of ``flows.pipeline`` and ``flows.study`` does before
its first cell: no section that nobody knows, and every mapping of overrides (a rung, an arm, the target) names parameters that exist
and values that are allowed.
"""

import sys
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from components.capability.config import CapabilityConfig
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
    capability: CapabilityConfig
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
    for place, study in studies(whole):
        _refuse_equal_arms(place, study, path)
    return whole


def check_before(commands: Iterable[str]) -> None:
    """``check``, if any of the commands that are to run is one of our stages: the parameters of another graph are not ours."""
    if any("flows.stages." in command for command in commands):
        check()


def cells(whole: Params) -> Iterator[list[str]]:
    """The places in params.yaml whose overrides make each kind of cell."""
    yield ["target"]
    yield from ([f"ladder.rungs.{rung}"] for rung in whole.ladder.rungs)
    yield from (["capability.common", f"capability.sizes.{size}"] for size in whole.capability.sizes)
    yield ["capability.common", "capability.target"]
    for place, study in studies(whole):
        for condition, arm, rate in product(study.conditions, study.arms, study.learning_rate.sweep):
            yield study_places(place, condition, arm, rate)


def studies(whole: Params) -> Iterator[tuple[str, StudyConfig]]:
    """Every study, small or full, and its place in params.yaml."""
    for section in ("studies", "full_studies"):
        yield from ((f"{section}.{name}", study) for name, study in getattr(whole, section).items())


def study_places(place: str, condition: str, arm: str, rate: str) -> list[str]:
    """Places of a study's overrides, in the order in which its cells apply them."""
    return [f"{place}.common", f"{place}.conditions.{condition}", f"{place}.arms.{arm}", f"{place}.learning_rate.sweep.{rate}"]


def _refuse_equal_arms(place: str, study: StudyConfig, path: Path) -> None:
    """Two arms, conditions or rates with the same parameters in the end are one: their cells would be the same runs."""
    condition, arm, rate = next(iter(study.conditions)), study.baseline, next(iter(study.learning_rate.sweep))
    for kind, names, places in (
        ("arms", study.arms, [study_places(place, condition, other, rate) for other in study.arms]),
        ("conditions", study.conditions, [study_places(place, other, arm, rate) for other in study.conditions]),
        ("learning_rate.sweep", study.learning_rate.sweep, [study_places(place, condition, arm, r) for r in study.learning_rate.sweep]),
    ):
        seen: dict[str, str] = {}
        for name, apply in zip(names, places, strict=True):
            values = params.load(Params, apply, path).model_dump_json()
            if values in seen:
                raise InputError(f"{path}: {place}.{kind}: {name} has the same parameters as {seen[values]}; change it or remove it")
            seen[values] = name


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
