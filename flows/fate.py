"""Tell what became of one document: which rule kept or dropped it, what it repeats, and where the training stream holds it.

The sentences speak of params.yaml as it is now; `dvc status curate_corpus` says whether the corpus was made with it.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.curation.config import CurationConfig
from components.errors import InputError
from components.sources.config import SourceConfig
from flows import command, params, stage

if TYPE_CHECKING:
    import pyarrow as pa

MAX_LISTED = 20
FIRST = "of such documents the first survives: reserved, then reference before raw, then the smallest id"
Row = Mapping[str, Any]


class Sections(params.Sections):
    """What the sentences are about."""

    sources: dict[str, SourceConfig]
    curation: CurationConfig


def main(argv: list[str] | None = None) -> int:
    """Print the story of the document that the command line names; exit status 2 if it names none, or several."""
    parser = argparse.ArgumentParser(prog="python -m flows.fate", description=__doc__)
    parser.add_argument("document", metavar="DOC_ID", help="the document's id, or a part of it that no other id has")
    parser.add_argument("--corpus", type=Path, default=Path("data/corpus"), help="folder of the curated corpus")
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"), help="folder of the token shards")
    args = parser.parse_args(argv)
    try:
        loaded = params.load(Sections)
        ids = find_documents(args.corpus, args.document)
        if len(ids) == 1:
            print("\n".join(tell(args.corpus, args.tokens, ids[0], loaded)))
            return 0
        shown = ids[:MAX_LISTED]
        print("\n".join(shown))
        listed = "all are listed" if len(shown) == len(ids) else f"the first {len(shown)} are listed"
        raise InputError(f"{len(ids):,} documents have {args.document!r} in their id, {listed}; give more of it")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT


def find_documents(corpus: Path, wanted: str) -> list[str]:
    """The document of that id, or of which it is the id of a piece, or else all with ``wanted`` in their id, sorted.

    InputError if there is none.
    """
    import pyarrow.compute as pc

    whole = re.sub(r"#p[0-9]+$", "", wanted)  # a cut document goes on as ID#p1, ID#p2, ...
    for condition in (pc.field("id") == wanted, pc.field("id") == whole, pc.match_substring(pc.field("id"), wanted)):
        found = sorted(_read(corpus / "fate.parquet", condition, ["id"]).column("id").to_pylist())
        if found:
            return found
    raise InputError(f"{corpus / 'fate.parquet'}: no document has {wanted!r} in its id; ids begin with the name of a source and a colon")


def tell(corpus: Path, tokens: Path, document_id: str, loaded: Sections) -> Iterator[str]:
    """The story, a line at a time."""
    row = _row(corpus, document_id)
    assert row is not None, "the caller found the id in this table"
    yield document_id
    yield f"  Read from {row['source']}, {_size(row)}."
    yield f"  {_verdict(row, loaded.curation)}"
    if (quality := _quality(row, loaded)) is not None:
        yield f"  {quality}"
    if row["nearest_duplicate"] is not None:
        yield f"  {_nearest(row, _row(corpus, row['nearest_duplicate']))}"
    if row.get("cut_windows"):
        yield f"  {_cuts(row)}"
    if row["kept"]:
        yield from (f"  {line}" for line in _places(tokens, row))


def explain(rule: str, curation: CurationConfig) -> str:
    """What a rule of curation, or of a source, means, in one sentence."""
    near = curation.deduplication
    sentences = {
        "too_large": "its file is larger than its source allows",
        "not_utf8": "its bytes are not UTF-8 text",
        "not_python": "it cannot be parsed as Python, so it has no docstrings to read",
        "low_karma": "too few people recommended the link to it (GPT-2 section 2.1)",
        "repeated_url": "another document has the same address, and one copy of each is read",
        "wikipedia": "it is a page of Wikipedia, which WebText leaves out, for many tasks are made of it",
        "not_english": "the language identifier does not hold it for English",
        "reserved": f"it belongs to the {curation.reserved_share:.0%} of {curation.reserved_source} that labelled tasks are made of",
        "too_short": f"it has fewer than {curation.min_document_chars} characters",
        "exact_duplicate": f"another document has the same text, and {FIRST}",
        "quality": f"a Pareto({curation.quality.pareto_shape:g}) draw keyed by its id did not exceed 1 - score (GPT-3 appendix A)",
        "near_duplicate": f"its set of {near.ngram_words}-word runs is that of another up to a Jaccard similarity of at least "
        f"{near.jaccard_threshold:g}, and {FIRST}",
        "same_work": "it is a version of a held-out work, and of each of those one version is kept",
        "contaminated": "it shares word runs with evaluation tasks, and what is left without them is too little or in too many pieces",
    }
    return sentences.get(rule, f"its source could not make a document of it ({rule.replace('_', ' ')})")


def _size(row: Row) -> str:
    return "as something that is no document" if row["chars"] is None else f"{row['chars']:,} characters"


def _verdict(row: Row, curation: CurationConfig) -> str:
    if row["kept"]:
        return "Kept, to measure on (held out, never trained on)." if row["split"] == "held_out" else "Kept, to train on."
    return f"Dropped by the rule {row['rule']}: {explain(row['rule'], curation)}."


def _quality(row: Row, loaded: Sections) -> str | None:
    """The score, and the chance (2 - s)^-shape that GPT-3's rule gave a raw document of it; None if it was not scored."""
    if row["score"] is None:
        return None
    score, shape = row["score"], loaded.curation.quality.pareto_shape
    source = loaded.sources.get(row["source"])
    if source is not None and source.role == "reference":
        return f"Quality score {score:.4f}, noted only: {row['source']} is reference text, which is not filtered."
    outcome = "it was dropped" if row["rule"] == "quality" else "it passed"
    chance = f"{100 * (2 - score) ** -shape:.3g} %"
    return f"Quality score {score:.4f}: raw text of that score has a chance of {chance} to pass ((2 - score)^-{shape:g}), and {outcome}."


def _nearest(row: Row, nearest: Row | None) -> str:
    """What it repeats, how much, and what became of that one."""
    alike = "" if row["jaccard"] is None else f", Jaccard similarity {row['jaccard']:.3f}"
    if nearest is None:
        return f"It repeats {row['nearest_duplicate']}{alike}."
    fate = f"kept ({nearest['split']})" if nearest["kept"] else f"dropped by the rule {nearest['rule']}"
    return f"It repeats {row['nearest_duplicate']}{alike}; that one was {fate}."


def _cuts(row: Row) -> str:
    windows = row["cut_windows"]
    spans = ", ".join(f"{window['begin']:,}-{window['end']:,}" for window in windows[:MAX_LISTED])
    more = f" and {len(windows) - MAX_LISTED} more" if len(windows) > MAX_LISTED else ""
    return f"Cut out, for evaluation tasks hold the same words: characters {spans}{more}; pieces left: {row['pieces']}."


def _places(tokens: Path, row: Row) -> Iterator[str]:
    """Where the stream of its split holds the document."""
    import pyarrow.compute as pc

    index = tokens / row["split"] / "index.parquet"
    if not index.exists():
        yield f"Its place in the token stream is unknown: {index} is not there (dvc repro tokenize_corpus)."
        return
    whole = pc.field("id") == row["id"]
    condition = pc.match_substring_regex(pc.field("id"), f"^{re.escape(row['id'])}#p[0-9]+$") if row.get("cut_windows") else whole
    found = sorted(_read(index, condition, ["start", "epoch", "num_tokens"]).to_pylist(), key=lambda place: place["start"])
    if not found:
        yield f"In no token of the {row['split']} stream: the stream ends before the turn of this document comes."
    for place in found[:MAX_LISTED]:
        last = place["start"] + place["num_tokens"] - 1
        yield f"Tokens {place['start']:,} to {last:,} of the {row['split']} stream ({place['num_tokens']:,}, epoch {place['epoch']})."
    if len(found) > MAX_LISTED:
        yield f"And in {len(found) - MAX_LISTED} more places."


def _row(corpus: Path, document_id: str) -> Row | None:
    import pyarrow.compute as pc

    rows = _read(corpus / "fate.parquet", pc.field("id") == document_id, None).to_pylist()
    return rows[0] if rows else None


def _read(path: Path, condition: Any, columns: list[str] | None) -> "pa.Table":
    """The rows of a Parquet file that fulfil the condition."""
    import pyarrow as pa
    import pyarrow.dataset as dataset

    if not path.exists():
        raise InputError(f"{path}: not there; run the stage that makes it (dvc repro curate_corpus)")
    try:
        return dataset.dataset(path, format="parquet").to_table(columns=columns, filter=condition)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a table of documents ({str(error).splitlines()[0]}); make it again with dvc repro") from None


if __name__ == "__main__":
    sys.exit(command.run(main))
