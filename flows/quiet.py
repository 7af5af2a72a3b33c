"""No tool phones home: the variables of quiet.env, which the Makefile includes too, set for this process and its children."""

import os
from pathlib import Path

QUIET_ENV = Path(__file__).with_name("quiet.env")


def set_variables() -> None:
    """Set each variable that the user has not set."""
    for line in QUIET_ENV.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        os.environ.setdefault(name, value)
