"""How a trained model is measured."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from components.config import Frozen

Normalization = Literal["sum", "per_token", "per_character", "unconditional"]
"""What is compared between the candidate answers of one item (GPT-3 section 2.4), all from log P(answer | prompt):
``sum`` as it is; ``per_token`` and ``per_character`` divided by the answer's length; ``unconditional`` less
log P(answer | answer context), the answer context being the words right before the answer alone, such as "Answer:"."""


class NormalizationConfig(Frozen):
    """One choice for each transformation, made before the scores are seen."""

    classification: Normalization
    entailment: Normalization
    similarity: Normalization
    multiple_choice: Normalization


class EvaluationConfig(Frozen):
    """Few-shot tasks, baselines and intervals."""

    seed: int
    """Draws the test items and the demonstrations, each by a hash of (seed, task, item)."""
    batch_sequences: int = Field(ge=1)
    """Rows of 128 tokens per forward pass; changes no score but in its last bits. 4 to 16 are fastest on a CPU."""
    shots: list[NonNegativeInt] = Field(min_length=1)
    """Numbers K of demonstrations in a prompt (GPT-3: 0, 1, and 10 to 100 as the context allows)."""
    items_per_task: int = Field(ge=1)
    """Test items of each task, at most."""
    prompt_text_chars: int = Field(ge=1)
    """Each text of a labelled item is cut here, between words, before it enters a prompt, so that K examples fit the context;
    candidate answers and the synthetic tasks are never cut."""
    max_answer_tokens: int = Field(ge=1)
    """Longest free-form answer [tokens]; one that has not ended by then is cut there."""
    normalization: NormalizationConfig
    confidence: float = Field(gt=0, lt=1)
    """Of the Clopper-Pearson interval of each score."""
    calibration_bins: int = Field(ge=1)
    """Of equal width, for the expected calibration error (Guo 2017, section 2)."""
    xz_preset: int = Field(ge=0, le=9)
    """Of the LZMA baseline; 9 is what ``xz -9`` does, with up to 674 MiB of memory."""
    ngram_discount: float = Field(gt=0, lt=1)
    """Count taken off every seen unigram and bigram and given to the shorter history (Kneser and Ney 1995; 0.75 is usual)."""


class ProtocolConfig(Frozen):
    """How a checkpoint is measured on task files (``python -m flows.evaluate``)."""

    seed: int
    """Draws the demonstrations and the bootstrap."""
    batch_sequences: int = Field(ge=1)
    """Rows of 128 tokens per forward pass; no result depends on it but for rounding."""
    begin_with_end_of_text: bool
    """Put ``<|endoftext|>``, with which every training document begins, before every prompt; lm-evaluation-harness does not for GPT-2."""
    max_items: int = Field(ge=1)
    """Test items of a task, at most, chosen by hash."""
    max_answer_tokens: int = Field(ge=1)
    """Of a free answer; longer ones are cut there."""
    length_penalty: float = Field(ge=0)
    """alpha of ((5 + length) / 6)^alpha, which divides the log-probability of a beam (Wu 2016, equation 14; GPT-3 section 2.4: 0.6)."""
    stop_word_beams: int = Field(ge=1)
    """Words tried before the stop-word filter gives up."""
    confidence: float = Field(gt=0, lt=1)
    """Of every interval."""
    bootstrap_samples: int = Field(ge=1)
    """Resamplings of the items, for intervals that have no exact form, and for paired tests."""
    calibration_bins: int = Field(ge=1)
    """Of equal width, for the expected calibration error (Guo 2017, section 2)."""
    in_context_shots: list[PositiveInt] = Field(min_length=1)
    """Numbers K of demonstrations that ``python -m flows.in_context`` compares with none and with shuffled ones."""
    contamination_min_words: int = Field(ge=1)
    """Least N of the overlap (GPT-3 appendix C: 8)."""
    contamination_max_words: int = Field(ge=1)
    """Largest N (13)."""
    contamination_percentile: float = Field(gt=0, lt=100)
    """Of the items' lengths in words: N before it is clamped (5)."""
