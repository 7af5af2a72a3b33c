"""Every attempt of every stage is one flat run in MLflow, and MLflow never decides anything.

MLflow is a view of what params.yaml, dvc.lock and metrics/ hold; no stage reads from it. So nothing here raises: when
the store cannot be reached, at the start or in mid-run, one line says so on stderr and the stage goes on without it.

Importing MLflow and opening its store cost 2.7 s of CPU, as much as torch. A stage therefore hands what it has to say to
another process, flows/recorder.py, and waits for it only where a file must be copied before it moves, and at the end. It
also closes the run of a stage that was killed. The cells of a flow share one (flows/recording.py).

The store is ``MLFLOW_TRACKING_URI``, by default ``mlflow.db`` at the top of the repository; empty or ``off`` tracks nothing.
"""

import json
import os
import platform
import queue
import re
import resource
import select
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from flows import experiments, processes, provenance

if TYPE_CHECKING:
    from pydantic import BaseModel

FLOW_RUN_VARIABLE = "GPT_LINEAGE_FLOW_RUN_ID"  # set by flows/pipeline_flow.py for the cells it runs
RECORDER_VARIABLE = "GPT_LINEAGE_RECORDER"  # where flows/recording.py listens, for the same cells
# Tags and metrics that flows/reproduce.py, flows/quote.py, flows/reconcile.py and flows/runs.py read.
COMMAND_TAG = "command"  # of a stage that was not run by DVC
PROCESS_TAG = "process"
COMMIT_TAG = "mlflow.source.git.commit"
FLOW_TAG = "prefect.flow_run_id"
EXPERIMENT_TAG = "experiment_name"
WORKSPACE_TAG = "workspace"  # host and top folder of the repository that the run was made in
DURATION_SECONDS = "system/duration_seconds"
TARGET_CELL, TARGET_MODEL = "pretrain_target", "gpt-lineage-target"
PEAK_MEMORY_BYTES = "system/peak_memory_bytes"
DISK_BYTES = "system/disk_bytes"
CURVES = "curve/"  # MLflow makes a section of charts of it, above that of the final numbers, which have names of their own
BUFFERED_ROWS = 50  # MLflow takes 7 ms a call but 0.1 s for a batch of 1,000 metrics
MAX_REASON_CHARS = MAX_PARAM_CHARS = 500  # MLflow takes 6,000; nobody reads more in its table
ANSWER_SECONDS = 120.0  # a server that is gone is given up after 20 s; a fresh database on a busy machine took 26 s


class Run:
    """One attempt of one stage. No method raises; after the first failure of the store none does anything."""

    def __init__(self, opening: Mapping[str, Any] | None) -> None:
        """Start the recorder with its first message; with None nothing is tracked."""
        self._rows: list[tuple[int, int, Mapping[str, float]]] = []  # clock [ms], step, values
        self._is_target = opening is not None and opening["tags"]["cell"] == TARGET_CELL
        self._recorder = None if opening is None else _Recorder()
        self._say("open", **(opening or {}))

    def log_rows(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Points of curves. Each row holds ``step`` and any number of metrics; they are sent 50 rows at a time."""
        now_ms = int(time.time() * 1000)
        self._rows += [(now_ms, int(row["step"]), row) for row in rows]
        if len(self._rows) >= BUFFERED_ROWS:
            self._flush()

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Final numbers of the stage, one value each."""
        self._flush()
        now_ms = int(time.time() * 1000)
        self._say("metrics", metrics=[(name, float(value), now_ms, 0) for name, value in metrics.items()])

    def log_artifact(self, path: Path) -> None:
        """A file, or a folder under its own name."""
        self._copy(path, path.name if path.is_dir() else None)

    def log_model(self, path: Path) -> None:
        """A checkpoint folder, as the artifact folder ``model``; that of the target becomes a version of the registered model."""
        self._copy(path, "model")
        if self._is_target:
            self._say("register", name=TARGET_MODEL, path=path.as_posix())

    def log_dataset(self, name: str, path: Path) -> None:
        """What the stage learnt from or was measured on, as an input of the run, known by its hash in dvc.lock."""
        digest = provenance.hashes_in_lock().get(path.as_posix(), "unknown")  # at most 36 characters: an md5 and ".dir"
        self._say("dataset", name=name, digest=digest, source=path.as_posix())

    def end(self, status: str, reason: str = "", outs: Sequence[str] = ()) -> None:
        """Close the run as FINISHED, FAILED or KILLED; ``reason`` is one line, ``outs`` are the paths it wrote."""
        self._flush()
        self._say("end", status=status, reason=redact(reason)[:MAX_REASON_CHARS], outs=list(outs))
        self._wait()
        if self._recorder is not None:
            self._recorder.close()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            points = ((f"{CURVES}{name}", float(row[name]), at, step) for at, step, row in rows for name in row if name != "step")
            self._say("metrics", metrics=list(points))

    def _copy(self, path: Path, folder: str | None) -> None:
        self._say("copy", path=str(path.absolute()), folder=folder)
        self._wait()  # a stage may move the file once this returns

    def _say(self, what: str, **details: Any) -> None:
        if self._recorder is not None:
            self._recorder.say({"what": what, **details})

    def _wait(self) -> None:
        if self._recorder is not None and not self._recorder.answered():
            self._recorder.close()
            self._recorder = None


class _Recorder:
    """The stage's end of the line to flows/recorder.py. A thread writes, so a full pipe cannot hold up the stage."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._line = _line_to_shared()
        if self._line is not None:
            self._pipe: IO[bytes] = self._line.makefile("wb")
            self._answers = self._line.fileno()
        else:
            self._process = _own_recorder()
            assert self._process.stdin is not None and self._process.stdout is not None
            self._pipe, self._answers = self._process.stdin, self._process.stdout.fileno()
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    def say(self, message: dict[str, Any]) -> None:
        if self._writer.is_alive():
            self._messages.put(message)

    def answered(self) -> bool:
        """Wait for the answer to the last message; False when the recorder has given up (it has said why) or is silent."""
        ready, _, _ = select.select([self._answers], [], [], ANSWER_SECONDS)
        if not ready:
            print(f"warning: not tracked from here on, MLflow did not answer for {ANSWER_SECONDS:.0f} s", file=sys.stderr, flush=True)
            if self._process is not None:
                self._process.kill()
        return bool(ready) and bool(os.read(self._answers, 1))

    def close(self) -> None:
        """Let the recorder end, which it does at once after its last answer."""
        self._messages.put(None)
        self._writer.join(ANSWER_SECONDS)
        if self._line is not None:
            self._line.close()
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
            self._process.wait()

    def _write(self) -> None:
        with suppress(OSError), self._pipe as pipe:  # it has given up and said why
            while (message := self._messages.get()) is not None:
                pipe.write(json.dumps(message).encode() + b"\n")
                pipe.flush()


def _line_to_shared() -> socket.socket | None:
    """None outside a flow, or if its recorder has ended."""
    line = socket.socket(socket.AF_UNIX)
    if line.connect_ex(os.environ.get(RECORDER_VARIABLE, "")) == 0:
        return line
    line.close()
    return None


def _own_recorder() -> "subprocess.Popen[bytes]":
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    command, variables = [sys.executable, "-m", "flows.recorder"], {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables)


@contextmanager
def run(stage: str, apply: Sequence[str], seed: int, params: "BaseModel", inputs: Iterable[str] = ()) -> Iterator[Run]:
    """Track one attempt of ``stage``: FINISHED, FAILED with the reason in one line, or KILLED when interrupted.

    Args:
        stage: address in dvc.yaml, ``pretrain_ladder@r1-0``; the name of the run.
        apply: places in params.yaml whose overrides were applied; they name the study and the arm.
        seed: seed of the cell.
        params: the sections that the stage read.
        inputs: paths given on the command line. Those that are there are tagged with their hash, those that are written, too.
    """
    uri = tracking_uri() if processes.is_first() else ""
    watch = provenance.Watch(inputs)
    attempt = Run(opening(uri, stage, apply, seed, params, watch.present(), _process_tags()) if uri else None)
    start_s = time.monotonic()
    try:
        yield attempt
    except KeyboardInterrupt:
        attempt.end("KILLED", "interrupted")
        raise
    except BaseException as error:
        attempt.end("FAILED", one_line(error))
        raise
    outs = watch.written()
    attempt.log_metrics({DURATION_SECONDS: time.monotonic() - start_s, **_costs(outs)} if uri else {})
    attempt.end("FINISHED", outs=outs)


def _costs(outs: Iterable[str]) -> dict[str, float]:
    """What the stage took of the machine. Memory is that of its largest process: an engine's server counts by itself."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return {
        PEAK_MEMORY_BYTES: float(max(one.ru_maxrss for one in usage) * unit_bytes),
        DISK_BYTES: float(sum(provenance.size_bytes(Path(path)) for path in outs)),
    }


def opening(
    uri: str, stage: str, apply: Sequence[str], seed: int, params: "BaseModel", inputs: Iterable[str], tags: Mapping[str, str]
) -> dict[str, Any]:
    """The first message of a run; ``tags`` are further ones."""
    return {
        "uri": uri,
        "experiment": experiments.name(apply),
        "experiment_tags": experiments.tags(apply),
        "name": experiments.run_name(stage, apply),
        "tags": {name: redact(value) for name, value in {**experiments.cell_tags(stage, apply, seed), **tags}.items() if value},
        "inputs": list(inputs),
        "values": as_params(params) | {"seed": str(seed)},
    }


def as_params(params: "BaseModel") -> dict[str, str]:
    """The parameters as MLflow has them: dotted names, values cut at 500 characters."""
    return {name: redact(str(value))[:MAX_PARAM_CHARS] for name, value in flatten(_sections(params)).items()}


def _sections(value: Any) -> Any:
    """Sections as mappings; a table of overrides (rungs, arms) is one value, for it holds what other cells are given."""
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return {name: _sections(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return json.dumps(value) if any(isinstance(one, Mapping) for one in value.values()) else {n: _sections(v) for n, v in value.items()}
    return value


def tracking_uri() -> str:
    """Where runs go: ``MLFLOW_TRACKING_URI``, else a database at the top of the repository; "" when tracking is off."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db").strip()
    if uri.startswith("sqlite:///"):
        return f"sqlite:///{repository() / uri.removeprefix('sqlite:///')}"
    return "" if uri.lower() == "off" else uri


def redact(text: str) -> str:
    """``text`` without the user and password of any address in it, and without tokens, secrets and signatures among its parameters."""
    text = re.sub(r"://[^/?#\s]*@", "://***@", text)
    return re.sub(r"(?i)([?&;][\w.-]*(?:token|secret|password|signature|sig)=)[^&;\s]+", r"\1***", text)


def one_line(error: BaseException) -> str:
    """Kind and message of an error in one line that holds no password."""
    message = redact(" ".join(str(error).split()))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as dotted keys; a list stays one value, written as JSON."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = json.dumps(value) if isinstance(value, list | tuple) else value
    return flat


def repository() -> Path:
    """Top folder of the repository that the user works in."""
    # In the scratch folder of `dvc exp run --temp` DVC_ROOT still names the user's own repository.
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def _process_tags() -> dict[str, str]:
    variables = {EXPERIMENT_TAG: "DVC_EXP_NAME", FLOW_TAG: FLOW_RUN_VARIABLE, "mlflow.user": "USER"}
    by_hand, cell = shlex.join(sys.orig_argv[1:]), os.environ.get("DVC_STAGE", "")
    return {name: os.environ.get(variable, "") for name, variable in variables.items()} | {
        COMMAND_TAG: "" if cell else by_hand,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": f"dvc repro -s {cell}" if cell else f"python {by_hand}",
        PROCESS_TAG: provenance.process(os.getpid()),
        WORKSPACE_TAG: f"{platform.node()}:{repository()}",
    }
