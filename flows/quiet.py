"""No tool phones home and no idle thread spins: the variables of quiet.env, for this process and its children.

The Makefile includes the same file. OMP_WAIT_POLICY: a two-thread training step took 996 ms instead of 55 ms when another
process took one of the cores, and 71 ms with passive waits; alone on the machine both are as fast (flows/README.md).
"""

import os
from pathlib import Path

QUIET_ENV = Path(__file__).with_name("quiet.env")


def set_variables() -> None:
    """Set each variable that the user has not set."""
    for line in QUIET_ENV.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        os.environ.setdefault(name, value)
