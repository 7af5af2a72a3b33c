"""What the stage curate_corpus takes as the corpus grows: memory and CPU time of the whole stage, in a process of its own.

The text is the default corpus in salted copies: in each, six letters are exchanged for others of its own, so that a third of a copy's
words and nearly nine of ten of its 5-grams are its own, and near-duplicates occur as often as in the corpus itself. The other words
are for the quality filter: with all letters exchanged, no word meant in one copy what it meant in another, so that the filter let
through 36 % of the documents of 1 GB and 46 % of those of 4 GB, and what was compared was not the same work. A row tells whether it is.

The limits are those that we set ourselves: there is no peer whose memory is bounded.
"""

import json
import os
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import harness
from components.sources.config import SourceConfig
from components.sources.documents import Document
from components.sources.read import read_source
from flows import params, quiet

if TYPE_CHECKING:
    import pyarrow as pa

ROOT = Path(__file__).parents[1]
SIZES_GB = (1, 2, 4, 8)  # 1e9 bytes of UTF-8
QUICK_SIZES_GB = (1, 2)
PEAK_LIMIT_GB = 4.0
GROWTH_LIMIT_GB = 0.25  # for each further GB
COST_LIMIT = 1.1  # times linear
KEPT_LIMIT = 1.05  # times the share of documents kept at the least size
LETTERS = "bgpvwy"  # in 35 % of the words of the default corpus; 88 % of its 5-grams have such a word
ROWS_OF_GROUP = 10_000
POLL_SECONDS = 0.1


class Sections(params.Sections):
    """The default corpus."""

    sources: dict[str, SourceConfig]


@dataclass(frozen=True)
class Cost:
    """Of one run of the stage."""

    text_gb: float
    peak_gb: float
    cpu_seconds: float
    wall_seconds: float
    kept_share: float


def main() -> int:
    """Print the rows; exit status 1 when one falls short."""
    sizes = QUICK_SIZES_GB if harness.is_quick(__doc__) else SIZES_GB
    quiet.set_variables()  # as the Makefile has them for every cell
    texts = _default_corpus()
    copy_bytes = _text_bytes(texts)
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        tasks = Path(folder, "tasks")
        harness.seconds([sys.executable, "-m", "flows.stages.derive_tasks", "--out", str(tasks)], ROOT, {"MLFLOW_TRACKING_URI": "off"})
        for size in sizes:
            with tempfile.TemporaryDirectory(dir=folder) as work:
                text_bytes = write_inputs(Path(work), texts, round(size * 1e9 / copy_bytes))
                costs.append(_measure(Path(work), tasks, text_bytes / 1e9))
                print(_told(costs[-1]), flush=True)
    harness.heading()
    found = rows(costs)
    for row in found:
        harness.show(row)
    return harness.finish("curate_memory", found)


def _told(cost: Cost) -> str:
    times = f"CPU {cost.cpu_seconds:.0f} s, wall {cost.wall_seconds:.0f} s"
    return f"{cost.text_gb:.2f} GB: peak {cost.peak_gb:.2f} GB, {times}, kept {cost.kept_share:.1%}"


def rows(costs: Sequence[Cost]) -> list[harness.Row]:
    """The verdict on runs of growing size."""
    least, most = costs[0], costs[-1]
    growth = max(0.001, (most.peak_gb - least.peak_gb) / (most.text_gb - least.text_gb))
    per_gb, linear = most.cpu_seconds / most.text_gb, least.cpu_seconds / least.text_gb
    size, smallest = f"{most.text_gb:.0f} GB of text", f"that of {least.text_gb:.0f} GB"
    kept, kept_of_least = ((100 * cost.kept_share,) for cost in (most, least))
    return [
        harness.Row(f"peak memory, {size}", "the limit", "GB", (most.peak_gb,), (PEAK_LIMIT_GB,), 1.0),
        harness.Row("its growth for each further GB", "the limit", "GB", (growth,), (GROWTH_LIMIT_GB,), 1.0),
        harness.Row(f"CPU time for each GB, {size}", smallest, "s", (per_gb,), (linear,), 1 / COST_LIMIT),
        harness.Row(f"share of documents kept, {size}", smallest, "%", kept, kept_of_least, 1 / KEPT_LIMIT),
    ]


def salted(texts: "pa.StringArray", copy: int, letters: str = string.ascii_lowercase) -> "pa.StringArray":
    """Each of ``letters``, small and capital, exchanged for one of all 26, in a way of its own for each number but 0, which changes
    nothing."""
    import pyarrow as pa

    order = np.random.default_rng(copy).permutation(26)[: len(letters)]
    exchanged = letters if copy == 0 else "".join(string.ascii_lowercase[number] for number in order)
    table = bytes.maketrans((letters + letters.upper()).encode(), (exchanged + exchanged.upper()).encode())
    _, offsets, data = texts.buffers()
    return pa.StringArray.from_buffers(len(texts), offsets, pa.py_buffer(data.to_pybytes().translate(table)), offset=texts.offset)


def write_inputs(folder: Path, texts: Mapping[str, "pa.StringArray"], copies: int) -> int:
    """A folder in which the stage can run: inputs/SOURCE/COPY.parquet and a params.yaml that names them. Returns bytes of text."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from ruamel.yaml import YAML

    values = params.read_yaml(ROOT / params.PARAMS_FILE)
    for name in texts:
        (folder / "inputs" / name).mkdir(parents=True)
        values["sources"][name] = _files(name, values["sources"][name]["role"])
        for copy in range(copies):
            table = pa.table({"text": salted(texts[name], copy, LETTERS)})
            pq.write_table(table, folder / "inputs" / name / f"{copy:04}.parquet", ROWS_OF_GROUP, compression="zstd")
    with (folder / params.PARAMS_FILE).open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(values, file)
    return copies * _text_bytes(texts)


def _text_bytes(texts: Mapping[str, "pa.StringArray"]) -> int:
    import pyarrow.compute as pc

    return sum(pc.sum(pc.binary_length(text)).as_py() for text in texts.values())


def _files(name: str, role: str) -> dict[str, Any]:
    glob = f"inputs/{name}/*.parquet"
    read = {"text_field": "text", "url_field": None, "max_document_bytes": 10**6, "webtext": None}
    return {"kind": "files", "role": role, "glob": glob, **read}


def _default_corpus() -> dict[str, "pa.StringArray"]:
    import pyarrow as pa

    sources = params.load(Sections).sources
    return {
        name: pa.array([entry.text for entry in read_source(name, source) if isinstance(entry, Document)], pa.string())
        for name, source in sources.items()
    }


def _measure(folder: Path, tasks: Path, text_gb: float) -> Cost:
    command = [sys.executable, "-m", "flows.stages.curate_corpus", "--tasks", str(tasks), "--out", "corpus", "--metrics", "corpus.json"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": "off"}
    start, peak = time.perf_counter(), 0.0
    with Path(folder, "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=log)
        # Not ru_maxrss, which counts what the parent had in memory when it started the child.
        while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            peak = max(peak, _most_memory_gb(process.pid))
            time.sleep(POLL_SECONDS)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"error: {' '.join(command)} ended with status {process.returncode}:\n{Path(folder, 'log').read_text()}")
    documents = json.loads(Path(folder, "corpus.json").read_text(encoding="utf-8"))["documents"]
    wall_seconds, kept_share = time.perf_counter() - start, documents["kept"] / documents["read"]
    return Cost(text_gb, peak, usage.ru_utime + usage.ru_stime, wall_seconds, kept_share)


def _most_memory_gb(pid: int) -> float:
    """What a process has had in memory at most, up to now; 0 when it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM:")), 0.0)


if __name__ == "__main__":
    sys.exit(main())
