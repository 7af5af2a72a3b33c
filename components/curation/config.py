"""What is kept of the sources, and in which shares it is trained on."""

import math
from typing import Self

from pydantic import Field, model_validator

from components.config import Frozen


class QualityConfig(Frozen):
    """Filter of the raw sources (GPT-3 appendix A): logistic regression, reference text against raw text, on the set of hashed words."""

    hash_bits: int = Field(ge=8, le=30)
    """2**hash_bits features; GPT-3 does not print its number, Spark's HashingTF has 2**18."""
    epochs: int = Field(ge=1)
    """Passes over the training documents."""
    learning_rate: float = Field(gt=0)
    """Of Adagrad."""
    max_documents_per_class: int = Field(ge=1)
    """Reference and raw documents to learn from, at most, chosen by hash."""
    held_out_share: float = Field(ge=0, lt=1)
    """Of those, chosen by hash: not learnt from, the AUC is measured on them."""
    reference_odds: float = Field(gt=0)
    """Odds that a document is reference text before it is looked at; the higher, the more raw text gets through. GPT-3 does not print
    the sizes of its two classes, which set these odds."""
    pareto_shape: float = Field(gt=0)
    """A raw document is kept if a Lomax(shape) draw exceeds 1 - score (GPT-3: 9); the lower, the more chance decides."""


class DeduplicationConfig(Frozen):
    """MinHash-LSH over sets of word n-grams, each candidate pair checked by its exact Jaccard similarity."""

    ngram_words: int = Field(ge=1)
    bands: int = Field(ge=1)
    """Two documents are candidates if all rows of one band agree."""
    rows: int = Field(ge=1)
    """Hashes per band; with 25 bands of 5 a pair at similarity 0.8 is missed once in 20,000 times."""
    bucket_window: int = Field(ge=1)
    """In a bucket of documents with equal bands, each is compared with so many of the next ones by id: keeps the cost linear."""
    signature_threshold: float = Field(ge=0, le=1)
    """Share of equal hashes below which a candidate is not looked at further."""
    jaccard_threshold: float = Field(gt=0, le=1)
    """Similarity of n-gram sets from which two documents are near-duplicates."""


class DecontaminationConfig(Frozen):
    """Passages that evaluation sets hold too are cut out (GPT-3 appendix C, whose numbers are 13, 200, 200, 10 and 10)."""

    ngram_words: int = Field(ge=1)
    """A hit is a run of so many words that an evaluation text has too; texts of fewer words give none."""
    window_chars: int = Field(ge=0)
    """Characters cut on either side of a hit, and on to the next white space; the paper's "200 character window around" leaves
    open whether 200 are meant in all."""
    min_piece_chars: int = Field(ge=1)
    """Shorter pieces between the cuts are dropped."""
    max_pieces: int = Field(ge=1)
    """A document that its cuts leave in more pieces, short ones counted, is dropped."""
    max_documents_per_ngram: int = Field(ge=0)
    """An n-gram found in more documents is common language, such as a licence, and is ignored."""


class CurationConfig(Frozen):
    """Rules in the order in which they are applied: reserved, too short, exact duplicate, quality, near-duplicate, contaminated."""

    seed: int
    """Of every draw, together with the document's id."""
    min_document_chars: int = Field(ge=1)
    """Shorter documents are dropped."""
    held_out_share: float = Field(ge=0, lt=1)
    """Of the kept documents, by hash: never trained on, losses are measured on them."""
    reserved_source: str
    """The source whose documents the labelled tasks are made from."""
    reserved_share: float = Field(ge=0, lt=1)
    """Of the documents of that source, by hash: for labelled tasks only."""
    spark_remote: str
    """Address of a Spark Connect server, sc://host:port (Spark >= 4), whose workers reach this folder and this package; "" is the
    embedded engine. The result is the same."""
    workers: int = Field(ge=1)
    """Threads of the embedded engine. The result is the same."""
    quality: QualityConfig
    deduplication: DeduplicationConfig
    decontamination: DecontaminationConfig


class MixtureConfig(Frozen):
    """Shares of the sources in the training stream (GPT-3 table 2.2: not in proportion to their size)."""

    weights: dict[str, float] = Field(min_length=1)
    """Source -> share of the training tokens. They sum to 1; if not, each is divided by their sum, with a warning."""
    max_epochs: float = Field(gt=0)
    """More repeats of a source than this are worth a warning (GPT-3: at most 3.4)."""

    @model_validator(mode="after")
    def _weights_are_shares(self) -> Self:
        if not all(0 <= weight < math.inf for weight in self.weights.values()):
            raise ValueError(f"weights must be finite and not negative, got {list(self.weights.values())}")
        if not any(self.weights.values()):
            raise ValueError("weights are all 0, so there is nothing to train on; raise one")
        return self
