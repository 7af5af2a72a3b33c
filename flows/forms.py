"""Types of what the flows are asked for, as the forms of the Prefect UI show them: the choices are those of this repository.

They are read when a flow is offered (``flows.serve``, ``prefect deploy``), so a new arm is in the form after the next offer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from components.errors import InputError
from flows import graph, params


def cells() -> list[str]:
    """Stages of dvc.yaml and, for those of several cells, the cells too; in the order in which they run."""
    try:
        names = [cell.name for cell in graph.load(Path.cwd()).cells()]
    except InputError:
        return []  # whoever runs it will say what is wrong with dvc.yaml
    return list(dict.fromkeys(choice for name in names for choice in (name.partition("@")[0], name)))


def full_studies() -> list[str]:
    """Studies of params.yaml, section full_studies."""
    try:
        return list(params.lookup(params.read_yaml(), "full_studies"))
    except InputError:
        return []


@dataclass(frozen=True)
class Choice:
    """Makes a text a choice in a form: what is sent must be one of the names."""

    names: Callable[[], Sequence[str]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The type itself stays a text: who calls a flow from Python is told by the flow what is wrong."""
        return handler(source)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The text's schema with the names, if there are any."""
        names = list(self.names())
        return {**handler(core), **({"enum": names} if names else {})}


Targets = Sequence[Annotated[str, Choice(cells)]]
Study = Annotated[str, Choice(full_studies)]
Workers = Annotated[int, Field(ge=1)]
Retries = Annotated[int, Field(ge=0)]
Hours = Annotated[float | None, Field(gt=0)]
Price = Annotated[float | None, Field(ge=0)]
RunId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
