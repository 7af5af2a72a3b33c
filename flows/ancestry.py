"""What a score comes from, by dvc.lock: its model, the tokens that the model was trained on, the corpus of the tokens.

Each is checked to be the very one that was used: by its hash where dvc.lock has one, a model by that of its weights.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.artifacts import read_json
from components.errors import InputError
from components.evaluation.answers import SUFFIX
from flows import provenance, tracking

KINDS = ("token_shards", "corpus", "tasks")
LOCKS = (Path("dvc.lock"), Path("studies/dvc.lock"))
SCORES_FILES = ("scores.json", "metrics.json")  # of flows.evaluate and flows.finetune
SCRATCH = "trained from scratch on its task alone, on no document of a corpus"
SHORT_HASH = 12


@dataclass(frozen=True)
class Cell:
    """A stage that has run."""

    name: str
    command: str
    deps: dict[str, str]
    """Path -> hash."""
    outs: dict[str, str]


@dataclass(frozen=True)
class Ancestors:
    """Of a score, or of a model."""

    cell: str
    """Address in dvc.yaml of what made the model."""
    checkpoint: Path
    tokens: Path
    corpus: Path
    tasks: Path
    """What the corpus was kept apart from."""
    task: str | None
    """The one that the model was fine-tuned on."""
    answers: Path | None
    """Folder of what was said of each test item; None where the score is no score, but a model."""
    hashes: dict[Path, str]
    """As dvc.lock has them."""


def read_locks() -> dict[str, Cell]:
    """Every cell of dvc.lock; InputError where nothing has run."""
    import yaml

    cells = {}
    for lock in filter(Path.exists, LOCKS):
        stages = yaml.load(lock.read_text(encoding="utf-8"), yaml.CSafeLoader)["stages"]
        for name, stage in stages.items():
            deps, outs = ({one["path"]: one["md5"] for one in stage.get(kind, []) if "md5" in one} for kind in ("deps", "outs"))
            cells[name] = Cell(name, stage["cmd"], deps, outs)
    if not cells:
        raise InputError("dvc.lock: not there, so nothing says what a model was trained on; run from the top folder of the repository")
    return cells


def ancestors(score: str) -> Ancestors:
    """From a score to what its model was trained on.

    Args:
        score: folder that flows.evaluate or flows.finetune wrote, or its file of scores; an output of the graph (a file of metrics, a
            checkpoint's folder); id of a run in MLflow.

    Raises:
        InputError: one line: there is no such score, its model is none of the graph's, or what it was trained on is not here any more.
    """
    cells = read_locks()
    cell, checkpoint, places = _model(cells, score)
    if "--init scratch" in cell.command:
        raise InputError(f"{checkpoint}: was {SCRATCH}")
    makers = _makers(cells)
    found = {kind: path for path in _upstream(makers, cell) if (kind := _kind(path)) in KINDS}
    if set(found) != set(KINDS):
        raise InputError(f"{checkpoint}: {cell.name} was not trained on a curated corpus, so there are no documents to search")
    hashes = {path: makers[path.as_posix()].outs[path.as_posix()] for path in (checkpoint, *found.values())}
    for path in found.values():
        _check(path, hashes[path], f"what {checkpoint} rests on")
    task = re.search(r"--task (\S+)", cell.command)
    tokens, corpus, tasks = (found[kind] for kind in KINDS)
    answers = next((place for place in places if any(place.glob(f"*{SUFFIX}"))), None)
    return Ancestors(cell.name, checkpoint, tokens, corpus, tasks, task[1] if task else None, answers, hashes)


def _model(cells: dict[str, Cell], score: str) -> tuple[Cell, Path, list[Path]]:
    """The cell that made the model of a score, the model's folder, and where the score's answers may be."""
    path = Path(score)
    maker = _makers(cells).get(path.as_posix())
    if maker is None and not path.exists():
        maker = _cell_of_run(cells, score)
    if maker is not None:
        for out in map(Path, maker.outs):
            _kind(out)
            _check(out, maker.outs[out.as_posix()], f"what {maker.name} wrote")
        return *_model_of(cells, maker), [Path(out) for out in maker.outs]
    folder = path if path.is_dir() else path.parent
    file = next((path / name for name in SCORES_FILES if (path / name).exists()), path / "manifest.json") if path.is_dir() else path
    facts = read_json(file) if file.is_file() else {}
    if "checkpoint_sha256" in facts:
        if facts["checkpoint_sha256"] is None:
            raise InputError(f"{score}: the model was {SCRATCH}")
        return *_by_weights(cells, file, facts["checkpoint_sha256"]), [folder]
    if facts.get("kind") == "checkpoint":
        return *_by_weights(cells, path, facts["sha256"]), [folder]
    raise InputError(f"{score}: says nothing of its model; give what flows.evaluate or flows.finetune wrote, or a file of metrics/")


def _model_of(cells: dict[str, Cell], cell: Cell) -> tuple[Cell, Path]:
    """The model that a cell made, or else the one it measured."""
    makers = _makers(cells)
    for name in (*cell.outs, *cell.deps):
        if name in makers and _kind(Path(name)) == "checkpoint":
            maker = makers[name]
            _check(Path(name), maker.outs[name], f"the model of {cell.name}")
            return maker, Path(name)
    raise InputError(f"{cell.name}: has no model; give a score of one")


def _by_weights(cells: dict[str, Cell], place: Path, sha256: str) -> tuple[Cell, Path]:
    for path, cell in _makers(cells).items():
        if Path(path).exists() and _kind(Path(path)) == "checkpoint" and read_json(Path(path) / "manifest.json")["sha256"] == sha256:
            return cell, Path(path)
    raise InputError(
        f"{place}: its model (weights {sha256[:SHORT_HASH]}) is none that dvc.lock knows and that lies here, so its training documents are "
        "unknown; check out the commit whose graph made it and run dvc checkout"
    )


def _cell_of_run(cells: dict[str, Cell], run_id: str) -> Cell:
    """The cell of an MLflow run, whose outputs must be those that dvc.lock has now."""
    from flows.messages import OUT_TAG
    from flows.runs import Store

    if "/" in run_id:
        raise InputError(f"{run_id}: not there, and no output of dvc.lock; give a score's folder or file, or the id of a run in MLflow")
    run = Store(tracking.tracking_uri()).read(run_id)
    outs = run.hashes(OUT_TAG)
    cell = cells.get(run.cell)
    if cell is None or not outs or any(cell.outs.get(path) != md5 for path, md5 in outs.items()):
        commit = run.tags.get("mlflow.source.git.commit", "")[:SHORT_HASH]
        raise InputError(f"run {run_id} ({run.cell}): dvc.lock has another outcome now; check out commit {commit} and run dvc checkout")
    return cell


def _makers(cells: dict[str, Cell]) -> dict[str, Cell]:
    return {path: cell for cell in cells.values() for path in cell.outs}


def _upstream(makers: dict[str, Cell], cell: Cell) -> Iterator[Path]:
    """Every output that the cell's outputs rest on, the nearest first."""
    waiting, seen = [cell], {cell.name}
    while waiting:
        for path in waiting.pop(0).deps:
            if path in makers:
                yield Path(path)
                if makers[path].name not in seen:
                    seen.add(makers[path].name)
                    waiting.append(makers[path])


def _kind(path: Path) -> str | None:
    """What the artifact's manifest says that it is; None for a file or a folder without one. InputError where nothing is."""
    if not path.exists():
        raise InputError(f"{path}: is not here; run dvc checkout {path}, or dvc repro")
    manifest: dict[str, str] = read_json(path / "manifest.json") if (path / "manifest.json").exists() else {}
    return manifest.get("kind")


def _check(path: Path, md5: str, what: str) -> None:
    if provenance.hash_path(path) != md5:
        raise InputError(f"{path}: is not {what} (dvc.lock has another hash); run dvc checkout {path}, or dvc repro")
