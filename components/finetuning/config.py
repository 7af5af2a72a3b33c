"""How a pre-trained GPT learns a labelled task."""

from pydantic import Field

from components.config import Frozen


class FinetuningConfig(Frozen):
    """GPT-1's fine-tuning (section 4.1, released code): its values are given where they are published."""

    epochs: int = Field(ge=1)
    """Passes over the training items (GPT-1: 3)."""
    batch_sequences: int = Field(ge=1)
    """Items per step (GPT-1: 32); an item is one, two (similarity) or K (multiple choice) sequences."""
    length_jitter: float = Field(ge=0, le=1)
    """Items of like length share a batch, to save padding; lengths are scattered by up to this share of themselves, so
    that other items meet in each epoch."""
    learning_rate: float = Field(gt=0)
    """Peak of the schedule (GPT-1: 6.25e-5 at 117M parameters; smaller models take more)."""
    warmup_share: float = Field(ge=0, lt=1)
    """Share of the steps in which the rate rises from 0, before it falls to 0 linearly (GPT-1: 0.002)."""
    weight_decay: float = Field(ge=0)
    """Decoupled; on matrices only (GPT-1: 0.01)."""
    adam_beta1: float = Field(ge=0, lt=1)
    adam_beta2: float = Field(ge=0, lt=1)
    adam_epsilon: float = Field(gt=0)
    grad_clip_norm: float = Field(gt=0)
    """Global norm (GPT-1 released code: 1.0)."""
    dropout: float = Field(ge=0, lt=1)
    """Inside the transformer, in place of what it was pre-trained with (GPT-1: 0.1)."""
    classifier_dropout: float = Field(ge=0, lt=1)
    """On the extract state, before the linear layer (GPT-1: 0.1)."""
    aux_lm_weight: float = Field(ge=0)
    """lambda of L3 = L2 + lambda L1, L1 being the language-model loss on the labelled text (GPT-1 eq. 5: 0.5)."""
    train_items: int = Field(ge=1)
    """At most so many training items, the first ones of the task, those for validation among them; a study of the number of
    labels lowers it."""
    validation_share: float = Field(ge=0, lt=1)
    """Of the training items, not trained on: their score is what rates, epochs and forms are chosen by (GPT-1 tells nothing of
    its own; GLUE has a split for it). 0 trains on all."""
    data_seed: int
    """Draws which ones (with their texts), the order of a task file's rows, and the bootstrap. Not the seed of a run: seeds change
    weights, not data."""
    confidence: float = Field(gt=0, lt=1)
    """Of the interval of the score: Clopper and Pearson's of an accuracy, else by bootstrap."""
    bootstrap_samples: int = Field(ge=1)
    """Resamplings of the test items for an interval that has no exact form."""
