"""Print a published model as overrides for params.yaml: one mapping, to paste behind ``target:``, a rung or an arm of a study.

What its paper does not tell keeps your own value. Without a name, list the models.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from components.errors import InputError
from components.training.config import TrainingConfig
from components.transformer.presets import PRESETS, TRAINING_KEYS, Preset
from flows import command, stage


def main(argv: list[str] | None = None) -> int:
    """Print the list, or one preset; exit status 2 for a name that is none."""
    parser = argparse.ArgumentParser(prog="python -m flows.presets", description=__doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the model; without it, all are listed")
    name = parser.parse_args(argv).name
    try:
        print("\n".join(listing() if name is None else description(name)))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT
    return 0


def listing() -> Iterator[str]:
    """One line for each model."""
    for name, preset in PRESETS.items():
        yield f"{name:12} {preset.parameters:>15,} parameters, batch {preset.training['batch_tokens']:,} tokens"


def description(name: str) -> Iterator[str]:
    """Comments on the preset, then its overrides as one YAML mapping."""
    if name not in PRESETS:
        raise InputError(f"{name!r} is no published model; known are {', '.join(PRESETS)}")
    preset, fields = PRESETS[name], overrides(PRESETS[name])
    yield f"# {name}: {preset.parameters:,} parameters with a vocabulary of {preset.vocab_size:,} (tokenization.vocab_size)"
    untold = [key for key in TRAINING_KEYS if key not in preset.training]
    if untold:
        yield f"# not told by the paper, yours stay: {', '.join(untold)}"
    yield "{" + ", ".join(f"{key}: {_yaml(value)}" for key, value in fields.items()) + "}"


def overrides(preset: Preset) -> dict[str, Any]:
    """Dotted parameters of params.yaml -> what the paper says of them."""
    model = {f"model.{key}": value for key, value in preset.model.model_dump().items()}
    return model | {f"training.{key}": value for key, value in preset.training.items() if key in TrainingConfig.model_fields}


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    text = str(value)
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text  # PyYAML reads 6e-05 as text


if __name__ == "__main__":
    sys.exit(command.run(main))
