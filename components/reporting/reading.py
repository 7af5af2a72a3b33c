"""One record per metrics file, checked when it is read."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from components.artifacts import read_json
from components.errors import InputError


class Reading(BaseModel):
    """Part of a metrics file. Keys that the report does not use are passed over, missing ones are an error."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


R = TypeVar("R", bound=Reading)


def read_record(path: Path, record: type[R]) -> R:
    """Read one metrics file.

    Raises:
        InputError: the file is missing or damaged, or lacks a key that the report shows.
    """
    try:
        return record.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {key}: {first['msg']}; delete it and run dvc repro") from None
