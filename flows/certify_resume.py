"""Prove that a killed run goes on bit for bit: train a cell's configuration twice, kill one with SIGKILL, compare, write a certificate."""

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from flows import cells, command, params, quiet, stage
from flows.stages.pretrain_model import Sections

if TYPE_CHECKING:
    from components.training.pretrain import PretrainConfig

DIFFERENT = 1


@dataclass(frozen=True)
class Run:
    """A run that a child process makes; its state is kept at the end, so that it can be compared."""

    tokens: Path
    config: "PretrainConfig"
    seed: int
    out: Path
    every_steps: int

    def train(self, tell: Callable[[dict[str, float]], None]) -> None:
        """Train, or go on, in this process."""
        from components.artifacts import TokenShards
        from components.training.pretrain import pretrain

        pretrain(TokenShards(self.tokens), self.config, self.seed, self.out, _kept_state(self), tell)

    def results(self) -> dict[str, str]:
        """Hash of each part of what the finished run left: weights, curve, and its last state."""
        from components.artifacts import sha256_file

        state = _kept_state(self).load()
        assert state is not None, "the last step of a run saves its state"
        files = {name: sha256_file(self.out / name) for name in ("model.safetensors", "curve.csv")}
        return files | {f"state.{name}": digest for name, digest in state.digests().items()}


@dataclass(frozen=True)
class Attempt:
    """What the parent saw of a child."""

    last_step: int
    step_seconds: float
    """Mean time between two steps that it told; sets the moments of the kills and is written nowhere."""
    exit_status: int
    """0 finished, -9 killed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the certificate; exit status 0 if everything is equal, 1 if anything differs, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m flows.certify_resume", description=__doc__)
    parser.add_argument("cell", help="of a pretrain or ablate stage, as dvc.lock names it: pretrain_ladder@r1-0")
    parser.add_argument("--train-tokens", type=int, required=True, help="length of the run; warm-up and ramp are cut to fit in")
    parser.add_argument("--kills", type=int, default=3, help="how often it is killed, at random moments")
    parser.add_argument("--kill-seed", type=int, default=0, help="of the moments")
    parser.add_argument("--save-every-steps", type=int, default=5, help="how often the state is written")
    parser.add_argument("--out", type=Path, required=True, help="the certificate, JSON")
    args = parser.parse_args(argv)
    quiet.set_variables()
    try:
        certificate = certify_cell(args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT
    for part, equal in certificate["equal"].items():
        print(f"{part:>24} {'equal' if equal else 'DIFFERS'}")
    for kill in certificate["kills"]:
        print(f"killed after step {kill['last_step_told']}, went on from step {kill['state_step']}")
    return 0 if all(certificate["equal"].values()) else DIFFERENT


def certify_cell(args: argparse.Namespace) -> dict[str, Any]:
    """Certify the configuration of a cell on its own tokens, and write what came out."""
    from components.artifacts import TokenShards, write_json

    options = cells.options(args.cell)
    if "tokens" not in options or "out" not in options:
        raise InputError(f"{args.cell}: trains no model from tokens; name a cell of a pretrain stage or of an ablation of one")
    loaded = params.load(Sections, options.get("apply", []))
    config, seed = shortened(loaded, args.train_tokens), int(options.get("seed", ["0"])[0])
    TokenShards(Path(options["tokens"][0])).stream("train")  # whole, before anything starts
    with tempfile.TemporaryDirectory() as folder:
        whole = Run(Path(options["tokens"][0]), config, seed, Path(folder) / "whole", args.save_every_steps)
        kills, equal = certify(whole, args.kills, args.kill_seed)
    certificate = {
        "cell": args.cell,
        "model": config.model.model_dump(),
        "training": config.training.model_dump(),
        "compute": config.compute.model_dump(),
        "seed": seed,
        "save_every_steps": args.save_every_steps,
        "kills": kills,
        "equal": equal,
    }
    write_json(args.out, certificate)
    return certificate


def shortened(loaded: Sections, train_tokens: int) -> "PretrainConfig":
    """The cell's run cut to ``train_tokens``, on one device: warm-up, ramp and decay keep their share of it."""
    from components.training.config import TrainingConfig
    from components.training.pretrain import PretrainConfig

    long = loaded.training
    cut = {"train_tokens": train_tokens}
    for name, tokens in (("warmup_tokens", long.warmup_tokens), ("ramp_tokens", long.ramp_tokens), ("decay_tokens", long.decay_tokens)):
        cut |= {name: tokens * train_tokens // long.train_tokens} if tokens else {}
    return PretrainConfig(loaded.model, TrainingConfig.model_validate(long.model_dump() | cut), loaded.compute.alone())


def certify(whole: Run, kills: int, kill_seed: int) -> tuple[list[dict[str, int]], dict[str, bool]]:
    """Run ``whole`` once through, and beside it once with ``kills`` kills: the kills, and which part came out equal.

    Each kill falls at a random step, and at a random moment of the time that a step takes.

    Raises:
        InputError: the run has too few steps for so many kills; a child failed.
    """
    steps = whole.config.training.num_steps
    if not 1 <= kills < steps:
        raise InputError(f"--kills {kills}: the run has {steps} steps, and each kill needs one before the last; raise --train-tokens")
    step_seconds = _finish(whole).step_seconds
    killed = Run(whole.tokens, whole.config, whole.seed, whole.out.with_name("killed"), whole.every_steps)
    draw, record = random.Random(kill_seed), list[dict[str, int]]()
    for step in sorted(draw.sample(range(1, steps), kills)):
        attempt = train_in_child(killed, step, draw.random() * step_seconds)
        state = _kept_state(killed).load()
        record.append(
            {
                "last_step_told": attempt.last_step,
                "state_step": 0 if state is None else state.steps_done,
                "exit_status": attempt.exit_status,
            }
        )
    _finish(killed)
    one, other = whole.results(), killed.results()
    return record, {name: one[name] == other[name] for name in one}


def train_in_child(run: Run, kill_after_step: int | None = None, delay_seconds: float = 0.0) -> Attempt:
    """Train in a process of its own: to the end, or until it is killed, ``delay_seconds`` after it told that step."""
    context = multiprocessing.get_context("forkserver")  # torch and lightning are imported once, in the server
    context.set_forkserver_preload(["components.training.pretrain"])
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=_train, args=(run, sending))
    child.start()
    sending.close()
    told: list[tuple[int, float]] = []
    try:
        # Not until the pipe ends: the loader's processes hold it too, and outlive a killed parent by seconds.
        while receiving in wait([receiving, child.sentinel]) and (step := _next_step(receiving)) is not None:
            told.append((step, time.monotonic()))
            if step == kill_after_step:
                time.sleep(delay_seconds)
                child.kill()
                break
        child.join()
    finally:
        child.kill()
    assert child.exitcode is not None
    mean_seconds = (told[-1][1] - told[0][1]) / len(told) if told else 0.0
    return Attempt(told[-1][0] if told else 0, mean_seconds, child.exitcode)


def _finish(run: Run) -> Attempt:
    attempt = train_in_child(run)
    if attempt.exit_status:
        raise InputError(f"a run of the certificate ended with status {attempt.exit_status} after step {attempt.last_step}; see above")
    return attempt


def _next_step(receiving: Connection) -> int | None:
    try:
        return int(receiving.recv())
    except EOFError:
        return None


def _train(run: Run, sending: Connection) -> None:
    run.train(lambda row: sending.send(int(row["step"])))


def _kept_state(run: Run) -> Any:
    from components.training.resume import StateFile

    class Kept(StateFile):
        def discard(self) -> None:
            """The certificate compares it."""

    return Kept(run.out.with_suffix(".state"), {"seed": str(run.seed)}, run.every_steps)


if __name__ == "__main__":
    sys.exit(command.run(main))
