"""The base of every ``*Config``: what params.yaml says, typed, and nothing else."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable record whose keys are all required and all known.

    Strict: a number written as text (PyYAML reads ``1e-3`` so) is an error, never a guess, and so is one that is not finite. A subclass
    gives no default to anything that can change a result, so that params.yaml stays the only place
    of such numbers.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
