"""params.yaml -> typed sections, with the overrides of one cell applied.

A stage names the sections it reads as the fields of a ``Sections`` class; dvc.yaml lists the same names, and a
contract test compares the two. An override is a mapping of dotted keys, ``{model.norm_placement: post}``, kept in
params.yaml itself (a rung of the ladder, an arm of a study) and named on the command line by its own path.
``{training.learning_rate *: 0.5}`` multiplies what stands there by then, so that a sweep moves with the arm that it is applied to.
"""

import copy
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from components.config import Frozen
from components.errors import InputError

PARAMS_FILE = Path("params.yaml")
TIMES = " *"


class Sections(Frozen):
    """Base of what one stage reads: one field per top-level section of params.yaml."""


S = TypeVar("S", bound=Sections)


def load(sections: type[S], apply: Sequence[str] = (), path: Path = PARAMS_FILE) -> S:
    """Read the sections, apply the override mappings found at the dotted paths ``apply`` in order, and check types.

    Raises:
        InputError: one line that names the file and the key: not YAML, missing, unknown, mistyped or out of range;
            an override of a parameter that does not exist.
    """
    values = read_yaml(path)
    for place in apply:
        values = _with_overrides(values, place, path)
    wanted = {name: values[name] for name in sections.model_fields if name in values}
    try:
        return sections.model_validate(wanted)
    except ValidationError as error:
        raise InputError("; ".join(f"{path}: {describe(e)}" for e in error.errors())) from None


def read_yaml(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """The file as plain dicts, read as DVC reads it (YAML 1.2, so ``1e-3`` is a number)."""
    try:
        values = copy.deepcopy(_parse(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"{path}: not there; run from the top folder of the repository") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from None
    except YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no sections; restore it with git checkout {path}")
    return values


@functools.cache
def _parse(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def lookup(values: Mapping[str, Any], place: str, path: Path = PARAMS_FILE) -> Any:
    """The value at a dotted place such as ``studies.ln_placement.arms.post``."""
    node: Any = values
    for depth, key in enumerate(keys := place.split(".")):
        if not isinstance(node, Mapping) or key not in node:
            raise InputError(f"{path}: {'.'.join(keys[: depth + 1])} is not there; add it or mend the name")
        node = node[key]
    return node


def _with_overrides(values: Mapping[str, Any], place: str, path: Path) -> dict[str, Any]:
    overrides = lookup(values, place, path)
    if not isinstance(overrides, Mapping):
        raise InputError(f"{path}: {place} must map parameters to values, for example {{training.learning_rate: 0.001}}")
    changed = copy.deepcopy(dict(values))
    for key, value in overrides.items():
        parent, _, leaf = str(key).removesuffix(TIMES).rpartition(".")
        if not parent:
            raise InputError(f"{path}: {place}: {key!r} names a whole section; write section.{key}")
        try:
            section = lookup(changed, parent, path)
        except InputError:
            section = None
        if not isinstance(section, dict) or leaf not in section:
            raise InputError(f"{path}: {place} overrides {key}, which is no parameter; mend the name")
        section[leaf] = _product(section[leaf], value, f"{path}: {place}: {key}") if str(key).endswith(TIMES) else copy.deepcopy(value)
    return changed


def _product(value: Any, factor: Any, what: str) -> float:
    for number in (value, factor):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InputError(f"{what}: only a number can be multiplied, and by a number, got {number!r}")
    return float(value * factor)


def describe(error: ErrorDetails) -> str:
    """One mistake of a checked file, in words that name the key."""
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{key} is missing; add it"
    if error["type"] == "extra_forbidden":
        return f"{key} is not a known parameter; mend the name or remove it"
    if error["type"] == "value_error":
        return f"{key}: {error['ctx']['error']}"
    return f"{key}: {error['msg']}, got {error['input']!r}"
