"""Which process this is, by what each launcher says, and launches that params.yaml does not describe."""

import pytest

from components.errors import InputError
from components.training.config import ComputeConfig
from flows import processes, tracking
from flows.stages import pretrain_model
from tests.configs import ONE_CPU
from tests.two_devices import MODEL, TRAINING, TWO

TORCHRUN = {"RANK": "{rank}", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
SRUN = {"SLURM_PROCID": "{rank}", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "target"}
LIGHTNING = {"LOCAL_RANK": "{rank}", "NODE_RANK": "0", "WORLD_SIZE": "2"}
BATCH_SCRIPT = {"SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "target"}


def say(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], rank: int = 0) -> None:
    for name in {*TORCHRUN, *SRUN, *LIGHTNING}:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(rank=rank))


@pytest.mark.parametrize("variables", [TORCHRUN, SRUN, LIGHTNING, SRUN | TORCHRUN])
def test_the_first_of_two_alone_tracks(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    opened = list[bool]()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///never.db")
    monkeypatch.setattr(tracking, "Run", lambda opening: opened.append(opening is not None) or _Silent())
    for rank in (0, 1):
        say(monkeypatch, variables, rank)
        processes.check(TWO["ddp"])
        assert processes.is_first() == (rank == 0)
        with tracking.run("pretrain", [], 0, ONE_CPU):
            pass
    assert opened == [True, False]


class _Silent:
    def log_metrics(self, metrics: dict[str, float]) -> None:
        """Nothing."""

    def end(self, status: str, reason: str = "", outs: tuple[str, ...] = ()) -> None:
        """Nothing."""


def test_a_process_alone_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for variables in ({}, BATCH_SCRIPT):
        say(monkeypatch, variables)
        processes.check(ONE_CPU)
        assert processes.is_first()
    say(monkeypatch, {})
    processes.check(TWO["fsdp"])  # Lightning starts the other


@pytest.mark.parametrize(
    ("variables", "compute", "message"),
    [
        (TORCHRUN, ONE_CPU, "2 processes were started, but compute.devices times compute.nodes is 1; make them equal"),
        (SRUN, TWO["ddp"].model_copy(update={"nodes": 2}), "2 processes were started, but .* is 4"),
        ({}, TWO["ddp"].model_copy(update={"nodes": 2}), "compute asks for 4 devices: start the stage's command with torchrun or srun"),
        (BATCH_SCRIPT, TWO["ddp"], "compute asks for 2 devices: start"),
        (SRUN | {"SLURM_JOB_NAME": "bash"}, TWO["ddp"], "the Slurm job is named bash"),
    ],
)
def test_a_launch_that_params_do_not_describe_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], compute: ComputeConfig, message: str
) -> None:
    say(monkeypatch, variables)
    with pytest.raises(InputError, match=message):
        processes.check(compute)


def test_single_is_of_one_device() -> None:
    with pytest.raises(ValueError, match="strategy single is of one device, but there are 2; set it to ddp or fsdp"):
        ComputeConfig.model_validate(ONE_CPU.model_dump() | {"devices": 2})


def test_a_state_depends_on_the_number_of_devices_with_dropout_alone() -> None:
    def decisive(compute: ComputeConfig, dropout: float) -> ComputeConfig:
        model = MODEL.model_copy(update={"dropout": dropout})
        return pretrain_model._decisive(pretrain_model.Sections(model=model, training=TRAINING, compute=compute)).compute

    assert decisive(TWO["ddp"], 0.0) == decisive(TWO["fsdp"], 0.0) == ONE_CPU
    assert decisive(TWO["ddp"], 0.1) == TWO["ddp"]
