"""Byte-level BPE and the token stream: nothing is lost, the order is a function of hashes, the mixture holds everywhere."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import Corpus, TokenShards, write_manifest
from components.curation.config import MixtureConfig
from components.errors import InputError
from components.tokenization.byte_pair import BytePairTokenizer
from components.tokenization.config import TokenizationConfig
from components.tokenization.stream import build_token_shards

CONFIG = TokenizationConfig(seed=0, vocab_size=285, tokenizer_train_chars=20_000, stream_tokens=4000, shard_tokens=1500)
MIXTURE = MixtureConfig(weights={"a": 0.25, "b": 0.75, "unused": 0.0}, max_epochs=4.0)
WORDS = ["alpha", "beta", "gamma", "delta's", "42", "naïve", "\n\n", "x=1;", "漢字"]


@pytest.fixture(scope="module")
def tokenizer() -> BytePairTokenizer:
    return BytePairTokenizer.train(iter([" ".join(WORDS * 20)] * 5), 285)


def write_corpus(folder: Path, reverse: bool = False) -> Corpus:
    rows = [
        (f"{source}:{i}", source, "held_out" if i % 10 == 0 else "train", " ".join(WORDS[(i + k) % len(WORDS)] for k in range(5 + i % 7)))
        for source in ("a", "b")
        for i in range(60)
    ]
    rows.sort(reverse=reverse)
    folder.mkdir(parents=True)
    pq.write_table(
        pa.table({name: [row[k] for row in rows] for k, name in enumerate(["id", "source", "split", "text"])}), folder / "documents.parquet"
    )
    write_manifest(folder, "corpus")
    return Corpus(folder)


def build(folder: Path, reverse: bool = False, **changes: int) -> TokenShards:
    config = CONFIG.model_copy(update=changes)
    build_token_shards(write_corpus(folder / "corpus", reverse), MIXTURE, config, folder / "tokens", lambda done, total: None)
    return TokenShards(folder / "tokens")


@given(st.text())
def test_round_trip(tokenizer: BytePairTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_separator_written_in_a_document_is_ordinary_text(tokenizer: BytePairTokenizer) -> None:
    ids = tokenizer.encode("before<|endoftext|>after")
    assert tokenizer.end_of_text not in ids
    assert tokenizer.decode(ids) == "before<|endoftext|>after"


def test_merges_keep_character_categories_apart_but_for_one_leading_space(tokenizer: BytePairTokenizer) -> None:
    pieces = [tokenizer.decode([token]) for token in range(tokenizer.vocab_size) if token != tokenizer.end_of_text]
    mixed = [piece for piece in pieces if any(c.isalpha() for c in piece) and any(c.isdigit() or c in "=;" for c in piece)]
    assert mixed == []
    assert any(piece.startswith(" ") and piece[1:].isalpha() for piece in pieces)


def test_save_and_load(tokenizer: BytePairTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    assert BytePairTokenizer.load(tmp_path / "tokenizer.json").encode("gamma delta's 漢字") == tokenizer.encode("gamma delta's 漢字")
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="not a tokenizer"):
        BytePairTokenizer.load(tmp_path / "tokenizer.json")


def test_a_vocabulary_larger_than_the_text_supports_is_refused() -> None:
    with pytest.raises(InputError, match=r"tokenization\.vocab_size 400 is larger than the text supports"):
        BytePairTokenizer.train(iter(["ab ab"]), 400)


def test_shards_do_not_depend_on_the_order_of_the_corpus(tmp_path: Path) -> None:
    one, other = build(tmp_path / "one"), build(tmp_path / "other", reverse=True)
    assert one.manifest == other.manifest
    assert one.stream("train").index() == other.stream("train").index()


def test_every_position_leads_back_to_its_document(tmp_path: Path) -> None:
    shards = build(tmp_path)
    tokenizer = BytePairTokenizer.load(shards.path / "tokenizer.json")
    texts = dict(zip(*(Corpus(tmp_path / "corpus").documents().column(name).to_pylist() for name in ("id", "text")), strict=True))
    stream = shards.stream("train")
    rows = stream.index().to_pylist()
    assert sum(row["num_tokens"] for row in rows) == stream.num_tokens >= CONFIG.stream_tokens
    for row in rows:
        tokens = stream.read(row["start"], row["start"] + row["num_tokens"]).tolist()
        assert tokens[0] == tokenizer.end_of_text
        assert tokenizer.decode(tokens[1:]) == texts[row["id"]]
        assert len(texts[row["id"]].encode()) == row["num_bytes"]


def test_the_mixture_holds_in_every_stretch_and_no_document_repeats_within_an_epoch(tmp_path: Path) -> None:
    stream = build(tmp_path).stream("train")
    rows = stream.index().to_pylist()
    for first in range(0, len(rows) - 40, 40):
        tokens = Counter[str]()
        for row in rows[first : first + 40]:
            tokens[row["source"]] += row["num_tokens"]
        assert tokens["b"] / tokens.total() == pytest.approx(0.75, abs=0.08)
    assert max(Counter((row["id"], row["epoch"]) for row in rows).values()) == 1
    assert max(row["epoch"] for row in rows) >= 1


def test_a_source_with_a_weight_and_no_documents_is_refused(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    with pytest.raises(InputError, match=r"mixture\.weights\.c is 0\.5, but nothing of that source was kept"):
        build_token_shards(
            corpus, MixtureConfig(weights={"a": 0.5, "c": 0.5}, max_epochs=4.0), CONFIG, tmp_path / "tokens", lambda done, total: None
        )
    assert not (tmp_path / "tokens").exists()


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_shard_is_refused(tmp_path: Path, damage: str) -> None:
    shards = build(tmp_path)
    file = shards.path / "train" / "00001.bin"
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.unlink() if damage == "remove" else file.write_bytes(data[:-2] if damage == "truncate" else data)
    with pytest.raises(InputError, match=r"00001\.bin: shard is .*; delete .* and run dvc repro"):
        shards.stream("train")


def test_the_table_holds_every_source_and_a_sum_other_than_one_changes_nothing_but_a_warning(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    built = {}
    for name, scale in (("one", 1.0), ("percent", 101.0)):
        weights = {source: weight * scale for source, weight in MIXTURE.weights.items()}
        mixture = MIXTURE.model_copy(update={"weights": weights, "max_epochs": 0.5})
        built[name] = build_token_shards(corpus, mixture, CONFIG, tmp_path / name, lambda done, total: None)
    one, percent = built["one"], built["percent"]
    assert TokenShards(tmp_path / "one").manifest == TokenShards(tmp_path / "percent").manifest
    assert list(one["sources"]) == ["a", "b", "unused"] and one["sources"]["unused"]["tokens_drawn"] == 0
    assert sum(row["share_by_size"] for row in one["sources"].values()) == pytest.approx(1, abs=1e-5)
    assert [row["weight"] for row in percent["sources"].values()] == [0.25, 0.75, 0]
    assert [row["weight_given"] for row in percent["sources"].values()] == [25.25, 75.75, 0]
    for name, row in one["sources"].items():
        drawn = [
            place["num_tokens"] for place in TokenShards(tmp_path / "one").stream("train").index().to_pylist() if place["source"] == name
        ]
        assert row["tokens_drawn"] == sum(drawn)
        assert row["epochs"] == pytest.approx(sum(drawn) / max(1, row["tokens_available"]), abs=1e-4)
    assert [line.split(" ")[:2] for line in one["warnings"]] == [["source", "a"], ["source", "b"]]
    assert percent["warnings"] == ["mixture.weights sum to 101, not 1: each was divided by that", *one["warnings"]]
