"""What the commands that measure a checkpoint on task files have in common: arguments, settings, the files, the model."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from components.evaluation.task_file import DataFile, TaskFile
from components.training.config import ComputeConfig
from flows import light_imports, params, quiet, stage

if TYPE_CHECKING:
    from components.evaluation.protocols import Examiner


F = TypeVar("F", bound=DataFile)


class Sections(params.Sections):
    """What these commands read of params.yaml."""

    protocol: ProtocolConfig
    compute: ComputeConfig


Work = Callable[[argparse.Namespace, Sections, dict[Path, TaskFile]], None]


def parser(prog: str, description: str | None) -> argparse.ArgumentParser:
    """The arguments that all of them take."""
    made = argparse.ArgumentParser(prog=prog, description=description)
    made.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    made.add_argument("--task", type=Path, nargs="+", required=True, help="task files")
    made.add_argument("--tokenizer", type=Path, default=Path("data/tokens/tokenizer.json"))
    made.add_argument("--out", type=Path, required=True, help="folder for the scores, replaced as a whole")
    made.add_argument("--apply", action="append", default=[], metavar="PLACE", help="overrides in params.yaml to apply")
    return made


def run(args: argparse.Namespace, work: Work) -> int:
    """Settings and task files are checked before anything is measured; exit status 2 with one line on bad input."""
    quiet.set_variables()
    light_imports.install()
    try:
        loaded = params.load(Sections, args.apply)
        files = {path: read_task_file(path) for path in args.task}
        if len({task.name for task in files.values()}) < len(args.task):
            raise InputError("two of the task files have one name; rename one, for results are kept by name")
        work(args, loaded, files)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT
    return 0


def read_task_file(path: Path) -> TaskFile:
    """Parse and check one task file; InputError names the key."""
    return read_as(TaskFile, path)


def read_as(form: type[F], path: Path) -> F:
    """A file of tasks/, or a user's, in the form of a task or of its data alone."""
    if not path.exists():
        raise InputError(f"{path}: no such task file; the shipped ones lie in tasks/")
    try:
        return form.model_validate(params.read_yaml(path))
    except ValidationError as error:
        raise InputError("; ".join(f"{path}: {params.describe(one)}" for one in error.errors())) from None


def open_examiner(args: argparse.Namespace, loaded: Sections) -> "Examiner":
    """The checkpoint and its tokenizer, on the device that the settings name."""
    from components.evaluation.protocols import Examiner
    from components.tokenization.byte_pair import BytePairTokenizer
    from components.training.trainer import prepare
    from components.transformer.checkpoint import load_checkpoint

    prepare(loaded.compute, loaded.protocol.seed)
    model = load_checkpoint(args.checkpoint).to("cuda" if loaded.compute.accelerator == "gpu" else "cpu")
    return Examiner(model, BytePairTokenizer.load(args.tokenizer), loaded.protocol)
