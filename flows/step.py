"""Tell which documents, from which sources, a training step read: of a finished run, at any step, without a log."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import InputError
from flows import cells, command, stage

if TYPE_CHECKING:
    from components.training.data_order import DataOrder
    from components.training.documents import DocumentPart

MAX_LISTED = 200


def main(argv: Sequence[str] | None = None) -> int:
    """Print the step's documents as a table or as JSON; exit status 2 if the run, or the step, is not there."""
    parser = argparse.ArgumentParser(prog="python -m flows.step", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="a cell that has run (pretrain_target, pretrain_ladder@r1-0), or a checkpoint's folder")
    parser.add_argument("--step", type=int, required=True, help="the first is 1")
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"), help="folder of the token shards")
    parser.add_argument("--json", action="store_true", help="every part as JSON")
    args = parser.parse_args(argv)
    try:
        order, parts = look_up(find_run(args.run), args.tokens, args.step)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT
    print(json.dumps([asdict(part) for part in parts], indent=2) if args.json else "\n".join(table(order, args.step, parts)))
    return 0


def find_run(name: str) -> Path:
    """Folder of the checkpoint: ``name`` itself, or what the cell of that name wrote."""
    if Path(name).is_dir():
        return Path(name)
    out = cells.options(name).get("out")
    if out is None:
        raise InputError(f"{name}: trains no model; name a cell of a pretrain or ablate stage")
    return Path(out[0])


def look_up(checkpoint: Path, tokens: Path, step: int) -> "tuple[DataOrder, list[DocumentPart]]":
    """The order of the run that made ``checkpoint``, and what it read at ``step``.

    Raises:
        InputError: the folder does not say how it was trained; it was trained on other tokens; there is no such step.
    """
    from components.artifacts import TokenShards, read_json, sha256_file
    from components.training.config import TrainingConfig
    from components.training.data_order import DataOrder
    from components.training.documents import RUN_FILE, DocumentIndex, documents_of_step

    run = read_json(checkpoint / RUN_FILE)
    stream = TokenShards(tokens).stream("train")
    if run["tokens_manifest_sha256"] != sha256_file(tokens / "manifest.json"):
        raise InputError(f"{checkpoint}: was not trained on the tokens in {tokens}; name those with --tokens, or run dvc repro")
    order = DataOrder(stream.num_tokens, run["context_length"], TrainingConfig.model_validate(run["training"]))
    return order, documents_of_step(DocumentIndex(stream), order, step)


def table(order: "DataOrder", step: int, parts: "Sequence[DocumentPart]") -> Iterator[str]:
    """The step in words, a line for each part of a document, and the sources' shares."""
    first, last = (order.training.tokens_after(s) for s in (step - 1, step))
    yield f"Step {step} of {order.training.num_steps}: tokens {first:,} to {last - 1:,} of the run, {last - first:,} of them."
    yield f"{'sequence':>8} {'source':>10} {'epoch':>5} {'in stream':>23} {'tokens':>7} {'in document':>11}  document"
    for part in parts[:MAX_LISTED]:
        place = f"{part.start:,}-{part.stop - 1:,}"
        size = f"{part.stop - part.start:>7,} {part.offset:>11,}"
        yield f"{part.sequence:>8} {part.source:>10} {part.epoch:>5} {place:>23} {size}  {part.id}"
    if len(parts) > MAX_LISTED:
        yield f"and {len(parts) - MAX_LISTED:,} more (--json has all)"
    sizes = Counter[str]()
    for part in parts:
        sizes[part.source] += part.stop - part.start
    yield "sources: " + ", ".join(f"{source} {tokens / sizes.total():.1%}" for source, tokens in sorted(sizes.items()))


if __name__ == "__main__":
    sys.exit(command.run(main))
