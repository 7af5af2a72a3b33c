"""Fine-tuning on labelled sets that people made: from a pre-trained checkpoint, from scratch, and two peers that need no GPT.

    python -m benchmarks.finetune_real [--checkpoint data/target] [--tokens data/tokens] [--data ../shared/data] [--quick]

    set     metric    train  test   pre-trained            from scratch           majority  bag of words

Accuracy on SST-2, SNLI and COPA, Pearson's correlation on STS. Settings are those of params.yaml, none of them chosen on
these sets. Intervals (95 %, Student's) are over seeds, which change weights, batches and dropout; all meet the same test items,
and that another sample of 300 items may move an accuracy by 0.06 is not in them. The peers have no seed, and learn from the
validation items too. Where the data are absent it says so and ends; there is no bar to fall short of, so the table is reported
as it is.
"""

import argparse
import csv
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks import harness
from benchmarks.peers.bag_of_words import bag_of_words
from components.curation.draws import uniform
from components.finetuning.run import Init, finetune, majority_accuracy
from components.studies.config import LearningRate, StudyConfig
from components.studies.effect import summarize
from components.tasks.items import Classification, Entailment, LabelledTask, MultipleChoice, Similarity
from components.tokenization.byte_pair import BytePairTokenizer
from flows import params, quiet
from flows.stages.finetune_model import Sections

DATA = Path("../shared/data")
SAMPLE_SEED = 0
SEEDS, QUICK_SEEDS = (0, 1, 2), (0, 1)
QUICK_SHARE = 0.1  # of the items
CONFIDENCE = 0.95
ARMS: tuple[Init, Init] = ("scratch", "pretrained")
SNLI_LABELS = ("contradiction", "entailment", "neutral")
STS_LABELS = ("0", "1", "2", "3", "4", "5")
Row = TypeVar("Row")


@dataclass(frozen=True)
class RealSet:
    """A task; for STS also the scores that people gave to its test items, which its rounded labels stand for."""

    task: LabelledTask
    gold: tuple[float, ...] | None = None

    @property
    def metric(self) -> str:
        """Name of the score."""
        return "Pearson" if self.gold else "accuracy"

    def score(self, scores_NC: np.ndarray[Any, Any], of_logits: bool) -> float:
        """Share of items whose highest score is the label's; with ``gold`` Pearson's correlation with the expected label."""
        if not self.gold:
            return float(np.mean(scores_NC.argmax(axis=1) == [item.label for item in self.task.test]))  # type: ignore[union-attr]
        powers = np.exp(scores_NC - scores_NC.max(axis=1, keepdims=True)) if of_logits else scores_NC
        expected = (powers / powers.sum(axis=1, keepdims=True)) @ np.arange(len(self.task.labels))
        return float(np.corrcoef(expected, self.gold)[0, 1])


def sample(rows: Iterable[Row], items: int, name: str) -> list[Row]:
    """So many rows, those of the smallest hash of their content, in that order."""
    return sorted(rows, key=lambda row: uniform(SAMPLE_SEED, name, repr(row)))[:items]


def table(path: Path) -> list[list[str]]:
    """Cells of a tab-separated file without quotes."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def sst_2(data: Path, share: float) -> RealSet:
    """1,000 of the 60,614 training phrases, and all 872 sentences of the set that GLUE calls dev."""
    rows = {name: table(data / f"finetune/sst-2/{name}.tsv")[1:] for name in ("train", "test")}
    train, test = (
        [Classification(text.strip(), int(label)) for text, label in sample(rows[name], round(share * items), "sst-2")]
        for name, items in (("train", 1000), ("test", 872))
    )
    return RealSet(LabelledTask("sst-2", "classification", ("negative", "positive"), list(train), list(test)))


def snli(data: Path, share: float) -> RealSet:
    """The 1,000 pairs: 700 to train on, 300 to test on. No premise is on both sides but the one at the border."""
    rows = table(data / "finetune/snli-mnli-1000/snli")
    rows.sort(key=lambda row: (uniform(SAMPLE_SEED, "snli", row[1]), row))
    items = [Entailment(premise, hypothesis, SNLI_LABELS.index(label)) for label, premise, hypothesis in rows]
    border = next(i for i in range(700, len(items)) if items[i].premise != items[i - 1].premise)
    train, test = items[:border], items[border:]
    return RealSet(
        LabelledTask("snli", "entailment", SNLI_LABELS, [*train[: round(share * 700)]], [*test[: max(60, round(share * len(test)))]])
    )


def sts(data: Path, share: float) -> RealSet:
    """600 pairs of SemEval 2012 and 2013 to train on, labels rounded; 600 others of 2014 to test on."""
    folder = data / "finetune/sts-semeval-2012-2016/data/sts/semeval-sts"
    years = {year: [row for path in sorted((folder / year).glob("*.tsv")) for row in table(path)] for year in ("2012", "2013", "2014")}
    train = sample(years["2012"] + years["2013"], round(share * 600), "sts")
    known = {frozenset(row[1:]) for row in train}
    test = sample([row for row in years["2014"] if frozenset(row[1:]) not in known], round(share * 600), "sts")
    items = [[Similarity(first, second, round(float(score))) for score, first, second in rows] for rows in (train, test)]
    return RealSet(LabelledTask("sts", "similarity", STS_LABELS, list(items[0]), list(items[1])), tuple(float(row[0]) for row in test))


def copa(data: Path, share: float) -> RealSet:
    """Balanced COPA: 300 questions with their mirrored twins to train on, 200 with theirs to test on; twins share their answers."""
    pairs: dict[int, list[MultipleChoice]] = {}
    for item in ElementTree.parse(data / "eval/copa-balanced/balanced-copa-dev-all.xml").getroot():
        premise, *answers = (str(item.findtext(name)) for name in ("p", "a1", "a2"))
        word = "because" if item.get("asks-for") == "cause" else "therefore"
        question = f"{premise.strip().rstrip('.')}, {word}"
        pairs.setdefault(int(str(item.get("id"))) % 1000, []).append(
            MultipleChoice(question, tuple(answers), int(str(item.get("most-plausible-alternative"))) - 1)
        )
    chosen = sample(pairs.items(), len(pairs), "copa")
    train, test = chosen[: round(share * 300)], chosen[300 : 300 + round(share * 200)]
    return RealSet(
        LabelledTask("copa", "multiple_choice", (), [i for _, twins in train for i in twins], [i for _, twins in test for i in twins])
    )


def measure(real: RealSet, args: argparse.Namespace, loaded: Sections, seeds: Sequence[int]) -> dict[str, Any]:
    """All runs of one set, and what ``studies.effect`` makes of them."""
    tokenizer = BytePairTokenizer.load(args.tokens / "tokenizer.json")
    values: dict[str, dict[int, float]] = {arm: {} for arm in ARMS}
    facts: dict[str, Any] = {}
    for seed in seeds:
        for arm in ARMS:
            run = finetune(real.task, tokenizer, args.checkpoint, arm, loaded.finetuning, loaded.compute, seed, lambda row, steps: None)
            values[arm][seed] = real.score(run.test_logits_NC.numpy(), of_logits=True)
            facts = run.metrics
            print(f"  {real.task.name} {arm} seed {seed}: {real.metric} {values[arm][seed]:.3f}", file=sys.stderr, flush=True)
    study = StudyConfig(
        question="Does pre-training help?",
        metric="score",
        direction="higher",
        confidence=CONFIDENCE,
        baseline="scratch",
        seeds=list(seeds),
        common={},
        conditions={"usual": {}},
        learning_rate=LearningRate(rule="one rate for both", sweep={"usual": {}}),
        arms={arm: {} for arm in ARMS},
    )
    summary = summarize(real.task.name, study, values)
    counts = ("train_items", "validation_items", "test_items", "cut_train_items", "cut_test_items", "test_items_in_train")
    return {
        "set": real.task.name,
        "metric": real.metric,
        **{name: facts[name] for name in (*counts, "duplicate_train_items", "duplicate_test_items")},
        "arms": summary["arms"],
        "effect": summary["effects"]["pretrained"],
        "majority": 0.0 if real.gold else majority_accuracy(real.task),  # of a constant, no correlation
        "bag_of_words": real.score(bag_of_words(real.task), of_logits=False),
    }


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    cells = [f"{arm['mean']:.3f} ({arm['low']:.3f} to {arm['high']:.3f})" for arm in (row["arms"]["pretrained"], row["arms"]["scratch"])]
    sizes = f"{row['train_items']:>5} {row['test_items']:>5}"
    return f"{row['set']:<6} {row['metric']:<9} {sizes}  {cells[0]:<23} {cells[1]:<23} {row['majority']:>8.3f} {row['bag_of_words']:>13.3f}"


def main() -> int:
    """Print the table and write results/finetune_real.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("data/target"), help="folder of a pre-trained checkpoint")
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"), help="folder with its tokenizer.json")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the labelled sets")
    parser.add_argument("--quick", action="store_true", help="a tenth of the items, two seeds; within five minutes")
    args = parser.parse_args()
    if not (args.data / "finetune").exists():
        print(f"skipped: {args.data / 'finetune'} is not there")
        return 0
    quiet.set_variables()
    loaded = params.load(Sections)
    print(f"{'set':<6} {'metric':<9} {'train':>5} {'test':>5}  {'pre-trained':<23} {'from scratch':<23} majority  bag of words")
    rows = []
    for read in (sst_2, snli, sts, copa):
        real = read(args.data, QUICK_SHARE if args.quick else 1.0)
        rows.append(measure(real, args, loaded, QUICK_SEEDS if args.quick else SEEDS))
        print(line(rows[-1]), flush=True)
    for row in rows:
        print(f"{row['set']}: {row['effect']['verdict']}")
    settings = {"quick": args.quick, "finetuning": loaded.finetuning.model_dump()}
    harness.RESULTS.mkdir(exist_ok=True)
    text = json.dumps({**settings, "rows": rows}, indent=2, sort_keys=True) + "\n"
    (harness.RESULTS / "finetune_real.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
