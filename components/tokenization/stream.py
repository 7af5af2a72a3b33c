"""Documents -> one training stream and one held-out stream.

The order of documents is a function of (seed, document id, epoch) alone, and sources are interleaved so that every
stretch of the stream holds them in the shares of the mixture: a run of any length and any batch size reads the same
row of tokens from its start.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Corpus, atomic_folder, write_manifest
from components.curation.config import MixtureConfig
from components.curation.mixture import Share, normalised, plan, warnings
from components.tokenization.byte_pair import BytePairTokenizer
from components.tokenization.config import TokenizationConfig
from components.tokenization.shards import StreamDocument, write_stream

if TYPE_CHECKING:
    import pyarrow as pa

ENCODE_DOCUMENTS = 2000  # per call of the tokenizer, so that progress can be shown
ROUND_TRIP_DOCUMENTS = 500  # checked for decode(encode(x)) == x in every run


@dataclass(frozen=True)
class Text:
    """A document of the corpus."""

    id: str
    source: str
    text: str


def build_token_shards(
    corpus: Corpus,
    mixture: MixtureConfig,
    config: TokenizationConfig,
    out: Path,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Train the tokenizer on the mixture, encode the corpus, write ``out``; return the metrics.

    ``metrics["sources"]`` is GPT-3's table 2.2: a row for each source of the mixture, those of weight 0 too.

    Raises:
        InputError: a source with a weight has no documents; the text is too small for the vocabulary.
    """
    documents = corpus.documents()
    train, held_out = _split(documents, "train"), _split(documents, "held_out")
    tokenizer = BytePairTokenizer.train(iter(_training_sample(train, normalised(mixture), config)), config.vocab_size)
    codes = _encode(tokenizer, [*train, *held_out], progress)
    available: Counter[str] = Counter()
    for text in train:
        available[text.source] += len(codes[text.id])
    shares = plan(mixture, config.stream_tokens, available)
    stream = training_stream(train, codes, shares, config.seed)
    with atomic_folder(out) as scratch:
        tokenizer.save(scratch / "tokenizer.json")
        splits = {
            "train": write_stream(scratch / "train", stream, config.shard_tokens),
            "held_out": write_stream(scratch / "held_out", [_occurrence(text, codes, 0) for text in held_out], config.shard_tokens),
        }
        write_manifest(scratch, "token_shards", vocab_size=tokenizer.vocab_size, splits=splits)
    return {**_metrics(tokenizer.vocab_size, splits, shares, stream), "warnings": warnings(mixture, shares)}


def training_stream(
    texts: Sequence[Text], codes: Mapping[str, Sequence[int]], shares: Mapping[str, Share], seed: int
) -> list[StreamDocument]:
    """Occurrences of documents in stream order; each source gives at least its share of the tokens.

    A source gives document after document in the order of hash(seed, epoch, id), and begins again (epoch 1, 2, ...) only
    when all of it was used: sampling without replacement, as GPT-3 section 2.2. An occurrence's place is the part of its
    source's share that was used before it.
    """
    placed = []
    for source, share in shares.items():
        own = [text for text in texts if text.source == source]
        used, epoch = 0, 0
        while used < share.tokens:
            for text in sorted(own, key=lambda text: order_key(seed, epoch, text.id)):
                if used >= share.tokens:
                    break
                document = _occurrence(text, codes, epoch)
                placed.append((used / share.tokens, source, document))
                used += len(document.tokens)
            epoch += 1
    return [document for _, _, document in sorted(placed, key=lambda entry: entry[:2])]


def order_key(seed: int, epoch: int, document_id: str) -> bytes:
    """Sort key of a document in one pass over its source: a hash, so that nothing depends on how it was read."""
    return hashlib.sha256(f"{seed}:{epoch}:{document_id}".encode()).digest()


def _split(documents: "pa.Table", split: str) -> list[Text]:
    columns = [documents.column(name).to_pylist() for name in ("id", "source", "split", "text")]
    return [Text(id, source, text) for id, source, own, text in sorted(zip(*columns, strict=True)) if own == split]


def _training_sample(texts: Sequence[Text], weights: Mapping[str, float], config: TokenizationConfig) -> list[str]:
    sample = []
    for source, weight in weights.items():
        budget = weight * config.tokenizer_train_chars
        for text in sorted((text for text in texts if text.source == source), key=lambda text: order_key(config.seed, 0, text.id)):
            if budget <= 0:
                break
            sample.append(text.text)
            budget -= len(text.text)
    return sample


def _encode(tokenizer: BytePairTokenizer, texts: Sequence[Text], progress: Callable[[int, int], None]) -> dict[str, list[int]]:
    codes: dict[str, list[int]] = {}
    for start in range(0, len(texts), ENCODE_DOCUMENTS):
        part = texts[start : start + ENCODE_DOCUMENTS]
        codes.update(zip((text.id for text in part), tokenizer.encode_batch([text.text for text in part]), strict=True))
        progress(min(start + ENCODE_DOCUMENTS, len(texts)), len(texts))
    for text in sorted(texts, key=lambda text: order_key(0, 0, text.id))[:ROUND_TRIP_DOCUMENTS]:
        if tokenizer.decode(codes[text.id]) != text.text:
            raise AssertionError(f"{text.id}: decode(encode(text)) differs from the text")
    return {id: [tokenizer.end_of_text, *ids] for id, ids in codes.items()}


def _occurrence(text: Text, codes: Mapping[str, Sequence[int]], epoch: int) -> StreamDocument:
    return StreamDocument(text.id, text.source, epoch, len(text.text.encode()), codes[text.id])


def _metrics(
    vocab_size: int, splits: Mapping[str, Mapping[str, Any]], shares: Mapping[str, Share], stream: Sequence[StreamDocument]
) -> dict[str, Any]:
    sources = {}
    for source, share in shares.items():
        drawn = sum(len(document.tokens) for document in stream if document.source == source)
        sources[source] = {
            "weight": round(share.weight, 6),
            "weight_given": share.weight_given,
            "share_by_size": round(share.share_by_size, 6),
            "tokens_available": share.tokens_available,
            "tokens_drawn": drawn,
            "epochs": round(drawn / max(1, share.tokens_available), 4),
        }
    sizes = {name: {"tokens": split["num_tokens"], "bytes": split["num_bytes"]} for name, split in splits.items()}
    bytes_per_token = round(sizes["held_out"]["bytes"] / max(1, sizes["held_out"]["tokens"]), 4)
    return {"vocab_size": vocab_size, **sizes, "bytes_per_token": bytes_per_token, "sources": sources}
