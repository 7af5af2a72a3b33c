"""No tool phones home, no idle thread spins, no memory is handed back in mid-step: quiet.env, for this process and its children.

The Makefile includes the same file. OMP_WAIT_POLICY: a two-thread training step took 996 ms instead of 55 ms when another
process took one of the cores, and 71 ms with passive waits; alone on the machine both are as fast (flows/README.md).
MALLOC_*: glibc returns every block of 128 KiB or more to the kernel at once, which then clears it anew for the next step; kept,
fine-tuning on see_also took 32 s instead of 37 s (medians of four, two at once), with 0.6 s instead of 3 s in the kernel.
PYTHONWARNINGS: MLflow imports pyspark where it finds it, which warns of its conversions to pandas; nothing here makes any.
"""

import os
from pathlib import Path

QUIET_ENV = Path(__file__).with_name("quiet.env")


def set_variables() -> bool:
    """Set each variable that the user has not set; whether there were any."""
    lines = [line.partition("=") for line in QUIET_ENV.read_text(encoding="utf-8").splitlines()]
    missing = {name: value for name, _, value in lines if name not in os.environ}
    os.environ.update(missing)
    return bool(missing)
