"""Which labelled tasks are made, and how large."""

from typing import Literal, Self

from pydantic import Field, model_validator

from components.config import Frozen

Transformation = Literal["classification", "entailment", "similarity", "multiple_choice", "free_form"]
"""The four of GPT-1 (figure 1), and GPT-3's free-form answers, which are never fine-tuned on."""

LabelMetric = Literal["accuracy", "matthews", "f1", "pearson", "spearman"]
"""What GPT-1's tables measure by: share of right answers; Matthews' correlation (CoLA); F1 of one class (MRPC, QQP); correlation of
scores (STS-B), Pearson's or Spearman's."""


class Labelling(Frozen):
    """What an item's label is, and what answers are measured by."""

    transformation: Transformation
    metric: LabelMetric
    positive: str | None = None
    """For ``f1``: the class that counts, as it stands in the data; there is none elsewhere."""
    scale: list[int] | None = Field(default=None, min_length=2, max_length=2)
    """For ``pearson`` and ``spearman``: lowest and highest score (STS-B: 0 and 5); elsewhere labels are classes, not numbers."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        scored = self.metric in ("pearson", "spearman")
        if self.transformation in ("multiple_choice", "free_form") and self.metric != "accuracy":
            raise ValueError(f"metric {self.metric} does not fit {self.transformation}; take accuracy")
        if (self.metric == "f1") != (self.positive is not None):
            raise ValueError("metric f1 needs positive, the class that counts, and no other metric has it")
        if scored != (self.scale is not None):
            raise ValueError("metrics pearson and spearman need scale, the lowest and the highest score, and no other metric has it")
        if self.scale and self.scale[0] >= self.scale[1]:
            raise ValueError(f"scale {self.scale} does not rise; name the lowest score first")
        return self


class DerivedConfig(Frozen):
    """Size of one task made from the structure of docstrings."""

    train_items: int = Field(ge=1)
    test_items: int = Field(ge=1)
    max_chars: int = Field(ge=20)
    """Each text of an item is cut here, between words."""


class LibraryConfig(DerivedConfig):
    """Which distribution is this docstring from? (classification)"""

    aliases: list[str]
    """Words that would give a library away, masked in every text beside the names of all distributions and packages."""


class NameChoiceConfig(DerivedConfig):
    """Which of these names fits this docstring? (multiple choice)"""

    choices: int = Field(ge=2)


class SyntheticConfig(Frozen):
    """GPT-3's arithmetic and word-scramble tasks (section 3.9); each is made with these numbers of items."""

    train_items: int = Field(ge=1)
    """Items to draw the K examples of a prompt from."""
    test_items: int = Field(ge=1)
    """GPT-3: 2,000 for arithmetic, 10,000 for scrambles."""
    most_frequent_words: int = Field(ge=1)
    """Scrambled words are drawn from so many most frequent words of the reserved documents (GPT-3: 10,000)."""
    min_word_chars: int = Field(ge=6)
    """6 and 15 are what the released files hold; the paper's text says "more than 4 and less than 15"."""
    max_word_chars: int = Field(ge=6)


class OwnTaskConfig(Labelling):
    """A CSV, TSV or JSONL file of the user's as a task."""

    columns: dict[str, str | list[str]]
    """Field of the item -> name of the column (for ``choices``: a list of names). Fields: ``text``, ``label``
    (classification); ``premise``, ``hypothesis``, ``label`` (entailment); ``first``, ``second``, ``label`` (similarity);
    ``context``, ``choices``, ``label`` (multiple choice: the number of the right choice, from 0); ``context``,
    ``completion`` (free form)."""
    train: str
    """Path of the file, relative to the top of the repository."""
    test: str | float
    """Path of another file, or the share of the rows of ``train`` that are kept for testing."""
    max_chars: int = Field(ge=1)
    """Each text of an item is cut here, between words."""


class TasksConfig(Frozen):
    """What data/tasks holds. The documents it is made from are those that ``curation`` reserves."""

    seed: int
    test_share: float = Field(gt=0, lt=1)
    """Of the reserved documents; no document serves both training and test items."""
    min_chars: int = Field(ge=1)
    """Shorter docstrings, and bodies without their summary, are left aside."""
    min_summary_chars: int = Field(ge=1)
    """So are shorter summary lines and lines of "See Also" sections."""
    library: LibraryConfig
    summary_match: DerivedConfig
    see_also: DerivedConfig
    name_choice: NameChoiceConfig
    synthetic: SyntheticConfig
    own: dict[str, OwnTaskConfig]
    """Name of the task -> the file it is read from."""
