"""Which of the processes of one training run this is: the environment says so, set by torchrun, by srun, or by Lightning on one node.

Only the first prints, tracks and writes.
"""

import os

from components.errors import InputError
from components.training.config import ComputeConfig

NAMES_LEFT_ALONE = ("bash", "interactive")  # Lightning takes a Slurm job of these names for a shell, and starts processes itself


def is_first() -> bool:
    """Whether this is process 0, or the only one."""
    if "RANK" in os.environ:
        return os.environ["RANK"] == "0"
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        return os.environ["SLURM_PROCID"] == "0"
    return os.environ.get("LOCAL_RANK", "0") == "0"


def check(compute: ComputeConfig) -> None:
    """Refuse a launch that ``compute`` does not describe: processes would wait for others that never come, or each train alone."""
    started, wanted = _started(), compute.world_size
    if started is not None and started != wanted:
        raise InputError(f"{started} processes were started, but compute.devices times compute.nodes is {wanted}; make them equal")
    if started is None and (compute.nodes > 1 or (wanted > 1 and "SLURM_NTASKS" in os.environ)):
        raise InputError(f"compute asks for {wanted} devices: start the stage's command with torchrun or srun, as README.md shows")
    name = os.environ.get("SLURM_JOB_NAME")
    if wanted > 1 and "RANK" not in os.environ and "SLURM_STEP_NUM_TASKS" in os.environ and name in NAMES_LEFT_ALONE:
        raise InputError(f"the Slurm job is named {name}, which Lightning takes for a shell; give it another name with --job-name")


def _started() -> int | None:
    """Processes of the launch that this one is of; None where it stands alone."""
    if "RANK" in os.environ or "LOCAL_RANK" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        return int(os.environ["SLURM_STEP_NUM_TASKS"])
    return None
