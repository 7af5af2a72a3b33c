"""What a training cell would take here, from a few of its steps on invented tokens: for cells that no past run is like (flows/quote.py).

A child process trains each shape of model and batch for some seconds, the smallest first, for the peak of its memory never falls. It
reads no data, so nothing need have run.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from components.costing.estimate import Estimate, of_probe, of_probed_seconds
from flows import graph, quiet, quote_history
from flows.quote_history import Stream
from flows.stages.pretrain_model import Sections

if TYPE_CHECKING:
    from components.artifacts import TokenShards

STEPS_SECONDS = 2.0  # of a shape; its start comes on top
LEAST_STEPS, MOST_STEPS = 4, 1000
MOST_TOKENS = 1_000_000  # of all steps, but for the least steps
LIMIT_SECONDS = 20.0  # of a shape, start included, on average: what takes longer stays unknown
DOCUMENT_TOKENS = 1000
CURVE_ROW_BYTES = 80.0
Estimates = tuple[Estimate, Estimate, Estimate]


@dataclass(frozen=True)
class Probe:
    """What a few steps took."""

    start_seconds: float
    """Until the first step: imports, weights."""
    step_seconds: float
    peak_memory_bytes: float


class _Enough(Exception):
    """The steps have taken their seconds."""


def estimates(cells: Sequence[graph.Cell]) -> dict[str, Estimates]:
    """Time [s], memory and disk [bytes] of those of the cells that pre-train on one device."""
    loaded = {cell.name: (sections, quote_history.stream_of(cell.command)) for cell in cells if (sections := _sections(cell.command))}
    shapes = {_shape(*one): one for one in sorted(loaded.values(), key=lambda one: _weights(one[0]))}
    probes = dict(zip(shapes, _probe(list(shapes.values())), strict=False)) if shapes else {}
    return {name: _estimates(*one, probes[_shape(*one)]) for name, one in loaded.items() if _shape(*one) in probes}


def _sections(command: str) -> Sections | None:
    if quote_history.module_of(command) != f"{quote_history.STAGES}pretrain_model":
        return None
    sections = quote_history.cell_sections(command)[0]
    assert isinstance(sections, Sections)
    return sections if sections.compute.world_size == 1 else None


def _shape(sections: Sections, stream: Stream) -> Hashable:
    """What the time of a step and the memory depend on."""
    return stream.vocab_size, sections.model, sections.training.batch_tokens, sections.training.micro_batch_sequences, sections.compute


def _weights(sections: Sections) -> int:
    return sections.model.num_layers * sections.model.d_model**2


def _estimates(sections: Sections, stream: Stream, probe: Probe) -> Estimates:
    from components.transformer.accounting import num_parameters
    from components.transformer.config import TransformerConfig

    training = sections.training
    measured_tokens = stream.held_out_tokens + training.curve_points * training.curve_tokens
    steps = training.num_steps + measured_tokens / training.batch_tokens / 3  # forward alone is a third of a step's arithmetic
    config = TransformerConfig(**sections.model.model_dump(), vocab_size=stream.vocab_size)
    disk = 4.0 * num_parameters(config) + CURVE_ROW_BYTES * training.num_steps
    seconds = probe.start_seconds + steps * probe.step_seconds
    return of_probed_seconds(seconds), of_probe(probe.peak_memory_bytes), of_probe(disk)


def _probe(shapes: Sequence[tuple[Sections, Stream]]) -> Iterator[Probe]:
    """A probe for each of the first shapes: all of them, unless they take too long."""
    asked = json.dumps([(sections.model_dump(), stream.vocab_size) for sections, stream in shapes])
    command, limit_s = [sys.executable, "-m", "flows.quote_probe"], LIMIT_SECONDS * len(shapes)
    try:
        said = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, timeout=limit_s, check=False).stdout
    except subprocess.TimeoutExpired as stopped:
        said = (stopped.stdout or b"").decode() if isinstance(stopped.stdout, bytes) else stopped.stdout or ""
    yield from (Probe(**json.loads(line)) for line in said.splitlines() if line.startswith("{") and line.endswith("}"))


def main() -> int:
    """Read shapes as JSON, write a line for each."""
    from flows import light_imports

    quiet.set_variables()
    light_imports.install()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    start_seconds = None
    for shape, vocab_size in json.load(sys.stdin):
        with tempfile.TemporaryDirectory() as folder:
            probe = measure(Sections.model_validate(shape), vocab_size, Path(folder))
        start_seconds = start_seconds or probe.start_seconds  # of the first alone: the others find everything imported
        print(json.dumps(asdict(probe) | {"start_seconds": start_seconds}), file=answers, flush=True)
    return 0


def measure(sections: Sections, vocab_size: int, folder: Path) -> Probe:
    """Train the shape for some seconds, in a folder of its own."""
    begin_s, ends_s = time.monotonic(), list[float]()
    from components.training.held_out import held_out_nats
    from components.training.pretrain import PretrainConfig, pretrain
    from components.training.resume import StateFile
    from components.transformer.config import TransformerConfig
    from components.transformer.model import GPT

    steps = max(LEAST_STEPS, min(MOST_STEPS, MOST_TOKENS // sections.training.batch_tokens))
    whole: dict[str, Any] = {"ramp_tokens": 0, "warmup_tokens": 0, "decay_tokens": None, "max_loss_spike_nats": None, "curve_points": 1}
    training = sections.training.model_copy(update=whole | {"train_tokens": steps * sections.training.batch_tokens})
    config = PretrainConfig(sections.model, training, sections.compute)

    def on_row(_: dict[str, float]) -> None:
        ends_s.append(time.monotonic())
        if len(ends_s) >= LEAST_STEPS and ends_s[-1] - ends_s[0] > STEPS_SECONDS:
            raise _Enough

    tokens = invent_tokens(folder / "tokens", training.train_tokens + sections.model.context_length + 1, vocab_size)
    with suppress(_Enough):
        pretrain(tokens, config, 0, folder / "out", StateFile(folder / "state", {}, every_steps=steps + 1), on_row)
    transformer = TransformerConfig(**sections.model.model_dump(), vocab_size=vocab_size)
    held_out_nats(GPT(transformer), tokens.stream("held_out"))  # of small models the peak of memory, for its batches are larger
    step_seconds = median(after - before for before, after in pairwise(ends_s))
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    peak_bytes = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes)
    return Probe(ends_s[0] - begin_s - step_seconds, step_seconds, peak_bytes)


def invent_tokens(folder: Path, count: int, vocab_size: int) -> "TokenShards":
    """A folder of ``count`` tokens to train on and a few held out; they say nothing, but take as long as any."""
    from components.artifacts import TokenShards, write_manifest
    from components.tokenization.shards import StreamDocument, write_stream

    folder.mkdir()
    ids = [number % vocab_size for number in range(DOCUMENT_TOKENS)]
    splits = {}
    for split, documents in (("train", -(-count // DOCUMENT_TOKENS)), ("held_out", 10)):
        stream = (StreamDocument(f"s:{number}", "s", 0, DOCUMENT_TOKENS, ids) for number in range(documents))
        splits[split] = write_stream(folder / split, list(stream), shard_tokens=MOST_TOKENS)
    write_manifest(folder, "token_shards", vocab_size=vocab_size, splits=splits)
    return TokenShards(folder)


if __name__ == "__main__":
    sys.exit(main())
