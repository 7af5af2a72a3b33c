"""The rules of curation: what each drops, that counts add up, and that nothing depends on the order of arrival."""

import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from components.artifacts import Corpus, read_json
from components.curation import mixture
from components.curation.config import CurationConfig, DecontaminationConfig, DeduplicationConfig, MixtureConfig, QualityConfig
from components.curation.corpus import build_corpus
from components.curation.draws import is_reserved
from components.errors import InputError
from components.sources.config import SourceConfig
from components.sources.documents import Document, Entry, Skipped
from flows import params
from flows.stages.curate_corpus import Sections
from tests.configs import files_source
from tests.curated import Curated, curate

ROLES = {"crawl": "raw", "docs": "reference", "books": "reference"}


def config(**changes: Any) -> CurationConfig:
    values = CurationConfig(
        seed=0,
        min_document_chars=40,
        held_out_share=0.2,
        reserved_source="docs",
        reserved_share=0.1,
        spark_remote="",
        workers=2,
        quality=QualityConfig(
            hash_bits=12,
            epochs=3,
            learning_rate=0.1,
            max_documents_per_class=200,
            held_out_share=0.2,
            reference_odds=1.0,
            pareto_shape=9.0,
        ),
        deduplication=DeduplicationConfig(
            ngram_words=3, bands=25, rows=5, bucket_window=10, signature_threshold=0.7, jaccard_threshold=0.8
        ),
        decontamination=DecontaminationConfig(ngram_words=6, window_chars=10, min_piece_chars=30, max_pieces=3, max_documents_per_ngram=2),
    )
    return values.model_copy(update=changes)


def prose(seed: int, vocabulary: str, num_words: int = 40) -> str:
    return " ".join(random.Random(f"{vocabulary}{seed}").choices([f"{vocabulary}{i}" for i in range(300)], k=num_words))


def document(source: str, name: str, text: str, **meta: str) -> Document:
    return Document(f"{source}:{name}", source, text, meta)


def corpus() -> list[Entry]:
    """Reference and raw text of two vocabularies, raw text like the reference, copies, near-copies, and what was skipped."""
    entries: list[Entry] = [document("docs", f"d{i:03}", prose(i, "good")) for i in range(120)]
    entries += [document("books", f"b{i:03}", prose(i, "book")) for i in range(40)]
    entries += [document("crawl", f"poor{i:03}", prose(i, "poor")) for i in range(120)]
    entries += [document("crawl", f"copy{i:03}", prose(i, "good")) for i in range(20)]
    entries += [document("books", f"near{i:03}", prose(i, "good") + " one more") for i in range(20)]
    entries += [document("crawl", f"short{i:03}", f"too short {i}") for i in range(5)]
    return [*entries, Skipped("crawl:huge", "crawl", "too_large"), Skipped("crawl:odd", "crawl", "not_utf8")]


def curated(entries: list[Entry] | None = None, **changes: Any) -> Curated:
    return curate(corpus() if entries is None else entries, ROLES, config(**changes))


@pytest.fixture(scope="module")
def usual() -> Curated:
    return curated()


def test_each_rule_drops_what_it_should(usual: Curated) -> None:
    reserved = {entry.id for entry in corpus() if is_reserved(config(), entry.id)}
    assert usual.dropped("reserved") == reserved and 3 < len(reserved) < 25
    assert usual.dropped("too_short") == {f"crawl:short{i:03}" for i in range(5)}
    assert usual.dropped("too_large") == {"crawl:huge"} and usual.dropped("not_utf8") == {"crawl:odd"}
    assert usual.dropped("exact_duplicate") == {f"crawl:copy{i:03}" for i in range(20)}
    assert len(usual.dropped("quality")) > 110 and all(id.startswith("crawl:poor") for id in usual.dropped("quality"))
    assert len(usual.dropped("near_duplicate")) == 20


def test_of_near_copies_the_reserved_one_counts_and_then_the_smallest_id(usual: Curated) -> None:
    for i in range(20):
        original, near = f"docs:d{i:03}", f"books:near{i:03}"
        survivors = {near} if not is_reserved(config(), original) else set()
        assert {original, near} & usual.dropped("") == survivors


def test_raw_copies_lose_to_reference_text_whatever_their_id() -> None:
    text = prose(0, "good")
    entries: list[Entry] = [document("crawl", "a", text), document("crawl", "b", text + " more"), document("docs", "z", text)]
    everything_passes = config().quality.model_copy(update={"reference_odds": 1e9})
    fates = curated(entries, reserved_share=0.0, quality=everything_passes)
    found = [(row["rule"], row["nearest_duplicate"], row["jaccard"]) for row in fates.fate]
    assert found == [("exact_duplicate", "docs:z", 1.0), ("near_duplicate", "docs:z", pytest.approx(38 / 39)), ("", None, None)]


def test_what_was_dropped_as_a_duplicate_names_what_it_matches(usual: Curated) -> None:
    for row in usual.fate:
        id, rule, nearest, jaccard = (row[name] for name in ("id", "rule", "nearest_duplicate", "jaccard"))
        assert (nearest is not None) == (rule in ("exact_duplicate", "near_duplicate"))
        if rule == "exact_duplicate":
            assert (nearest, jaccard) == (f"docs:d{id[-3:]}", 1.0)
        elif rule == "near_duplicate":
            assert nearest is not None and nearest[-3:] == id[-3:] and jaccard is not None and 0.8 <= jaccard < 1


def test_no_near_copy_of_a_reserved_or_held_out_document_is_trained_on(usual: Curated) -> None:
    texts = {entry.id: entry.text for entry in corpus() if isinstance(entry, Document)}

    def grams(text: str) -> set[tuple[str, ...]]:
        split = text.split()
        return {tuple(split[i : i + 3]) for i in range(len(split) - 2)}

    splits = {row["id"]: row["split"] for row in usual.fate}
    train = [grams(texts[id]) for id, split in splits.items() if split == "train"]
    measured = [id for id, split in splits.items() if split == "held_out"] + sorted(usual.dropped("reserved"))
    assert len(measured) > 20
    for id in measured:
        own = grams(texts[id])
        assert all(len(own & other) / len(own | other) < 0.8 for other in train), id


def test_a_work_is_trained_on_in_all_its_versions_or_measured_on_in_one() -> None:
    entries: list[Entry] = [document("books", f"{version}{i}", prose(i, version), work=f"w{i}") for i in range(60) for version in "abc"]
    fates = curated(entries)
    by_work: dict[str, list[str]] = {}
    for row in fates.fate:
        by_work.setdefault(row["id"][7:], []).append(row["split"] or row["rule"])
    outcomes = {tuple(sorted(outcome)) for outcome in by_work.values()}
    assert outcomes == {("train",) * 3, ("held_out", "same_work", "same_work")}
    kept_versions = {row["id"][6] for row in fates.fate if row["split"] == "held_out"}
    assert len(kept_versions) > 1  # the choice is a draw, not the order of ids


def test_counts_add_up(usual: Curated) -> None:
    counts = usual.metrics
    assert counts["documents"]["read"] == len(corpus()) == counts["documents"]["kept"] + sum(counts["rules"].values())
    for source in counts["sources"].values():
        assert source["read"] == source["kept"] + sum(source["dropped"].values())
        assert 0 < source["held_out"] < source["kept"] or source is counts["sources"]["crawl"]
    assert counts["rules"] == {rule: sum(s["dropped"].get(rule, 0) for s in counts["sources"].values()) for rule in counts["rules"]}
    assert counts["sources"]["docs"]["chars_read"] == sum(len(e.text) for e in corpus() if isinstance(e, Document) and e.source == "docs")


def test_order_of_arrival_changes_no_byte(tmp_path: Path) -> None:
    written = []
    for seed in range(3):
        entries = corpus()
        random.Random(seed).shuffle(entries)
        folder = tmp_path / str(seed)
        folder.mkdir()
        curate(entries, ROLES, config(), folder=folder)
        written.append([(folder / name).read_bytes() for name in ("documents.parquet", "fate.parquet")])
    assert written[0] == written[1] == written[2]


def test_another_seed_draws_otherwise(usual: Curated) -> None:
    assert usual.dropped("reserved") != curated(seed=1).dropped("reserved")


def test_quality_is_measured_on_documents_not_learnt_from(usual: Curated) -> None:
    measured = usual.metrics["quality"]
    assert measured["auc"] > 0.99 and measured["test_documents"] > 20 and measured["train_documents"] > 100


def test_corpus_without_raw_text_is_not_filtered() -> None:
    found = curated([document("books", str(i), prose(i, "book")) for i in range(9)])
    assert len(found.documents) == 9 and found.metrics["quality"] == {"auc": None, "train_documents": 0, "test_documents": 0}


def test_corpus_of_which_nothing_is_left() -> None:
    fates = curated([Skipped("crawl:a", "crawl", "not_utf8"), document("crawl", "b", "short")])
    assert [row["rule"] for row in fates.fate] == ["not_utf8", "too_short"] and fates.documents == []


def test_two_documents_with_one_id_are_refused() -> None:
    with pytest.raises(AssertionError, match="two documents have the id docs:a"):
        curated([document("docs", "a", "x"), document("docs", "a", "y")])


@pytest.fixture
def own_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, SourceConfig]:
    """Two sources of files in the working folder."""
    monkeypatch.chdir(tmp_path)
    for name, vocabulary in (("mine", "good"), ("noise", "poor")):
        folder = tmp_path / "inputs" / name
        folder.mkdir(parents=True)
        for i in range(30):
            (folder / f"{i:02}.txt").write_text(prose(i, vocabulary))
    return {name: files_source(f"inputs/{name}/*.txt", role=role) for name, role in (("mine", "reference"), ("noise", "raw"))}


EVEN = MixtureConfig(weights={"mine": 0.5, "noise": 0.5}, max_epochs=4.0)


def test_built_folder_is_a_corpus(tmp_path: Path, own_text: dict[str, SourceConfig]) -> None:
    lines: list[str] = []
    metrics = build_corpus(own_text, [], config(reserved_source="mine"), EVEN, tmp_path / "corpus", lines.append)
    built = Corpus(tmp_path / "corpus")
    documents, fate = built.documents().to_pylist(), built.fate().to_pylist()
    assert list(documents[0]) == ["id", "source", "split", "text"]
    assert [(row["source"], row["id"]) for row in fate] == sorted((row["source"], row["id"]) for row in fate) and len(fate) == 60
    assert {(row["id"], row["split"]) for row in documents} == {(row["id"], row["split"]) for row in fate if row["kept"]}
    assert all(row["text"] == (tmp_path / row["id"].partition(":")[2]).read_text() for row in documents)
    assert all((row["rule"] == "") == row["kept"] and row["chars"] > 0 for row in fate)
    assert metrics["documents"] == {"read": 60, "kept": len(documents), "dropped": 60 - len(documents)}
    manifest = read_json(tmp_path / "corpus" / "manifest.json")
    assert manifest["origins"]["mine"] == [{"glob": "inputs/mine/*.txt", "files": 30}]
    assert lines[0] == f"read mine: 30 documents, {sum(len(prose(i, 'good')) for i in range(30)) / 1e6:.1f} M characters"
    schema = pq.read_schema(tmp_path / "corpus" / "fate.parquet")
    assert schema.names == [
        "id",
        "source",
        "kept",
        "split",
        "rule",
        "score",
        "nearest_duplicate",
        "jaccard",
        "chars",
        "cut_windows",
        "pieces",
    ]


def test_failure_leaves_nothing_behind(tmp_path: Path, own_text: dict[str, SourceConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        build_corpus(own_text, [], config(reserved_source="mine"), EVEN, tmp_path / "corpus", lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["inputs"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"mine": 1.0}, "mixture.weights: source 'noise' has no weight; add one"),
        ({"mine": 0.5, "noise": 0.25, "web": 0.25}, "mixture.weights: 'web' is not a source; add it to sources or remove its weight"),
    ],
)
def test_weights_must_name_the_sources(tmp_path: Path, own_text: dict[str, SourceConfig], weights: dict[str, float], message: str) -> None:
    with pytest.raises(InputError) as caught:
        build_corpus(own_text, [], config(), MixtureConfig(weights=weights, max_epochs=4.0), tmp_path / "corpus", lambda _: None)
    assert str(caught.value).startswith(message)


def test_reserved_source_must_exist(tmp_path: Path, own_text: dict[str, SourceConfig]) -> None:
    with pytest.raises(InputError, match=r"curation\.reserved_source: 'docs' is not a source; name one of mine, noise"):
        build_corpus(own_text, [], config(), EVEN, tmp_path / "corpus", lambda _: None)


def test_colon_in_the_name_of_a_source(tmp_path: Path, own_text: dict[str, SourceConfig]) -> None:
    renamed = {"mine": own_text["mine"], "no:ise": own_text["noise"]}
    weights = MixtureConfig(weights={"mine": 0.5, "no:ise": 0.5}, max_epochs=4.0)
    with pytest.raises(InputError, match=r"sources: 'no:ise' is no name for a source; leave out the colon"):
        build_corpus(renamed, [], config(reserved_source="mine"), weights, tmp_path / "corpus", lambda _: None)


def test_raw_text_needs_a_reference(tmp_path: Path, own_text: dict[str, SourceConfig]) -> None:
    raw = {name: source.model_copy(update={"role": "raw"}) for name, source in own_text.items()}
    with pytest.raises(InputError, match="all are raw"):
        build_corpus(raw, [], config(reserved_source="mine"), EVEN, tmp_path / "corpus", lambda _: None)


def test_params_file_fits_the_stage() -> None:
    loaded = params.load(Sections)
    mixture.check_names(loaded.mixture, loaded.sources)
    assert loaded.curation.reserved_source in loaded.sources
