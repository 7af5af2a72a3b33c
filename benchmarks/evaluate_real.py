"""The default run's target on six public sets, by their papers' protocols: LAMBADA, PIQA, COPA, OpenBookQA, ARC-easy, HellaSwag.

    python -m benchmarks.evaluate_real [--checkpoint data/target] [--tokens data/tokens] [--data ../shared/data] [--shots 0]
                                       [--out scratch/evaluate_real] [--quick]

    | set | metric | score | interval | chance | items | cut | calibration error |

The task files are those of tasks/, read from files in the form of llm-foundry's and HellaSwag's own, and measured by
``python -m flows.evaluate``. None has a train split here: with --shots, demonstrations are other test items. "cut" counts items that
lost their beginning, for they are longer than the context. There is no bar to fall short of, so the table is reported as it is.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import harness
from flows import evaluate, params

DATA = Path("../shared/data")
QUICK_ITEMS = 100
FOUNDRY = "eval/llm-foundry-icl-public"
CHOICE = {"choices": "choices", "label": "gold"}
SETS: dict[str, tuple[str, dict[str, str]]] = {
    "gpt2/lambada": (f"{FOUNDRY}/lambada_openai.jsonl", {"context": "{{ context }}", "answers": "[continuation]"}),
    "gpt3/piqa": (f"{FOUNDRY}/piqa.jsonl", {"context": "{{ query|trim }}\nAnswer:", **CHOICE}),
    "gpt3/copa": (f"{FOUNDRY}/copa.jsonl", {"context": "{{ query }}", **CHOICE}),
    "gpt3/openbook_qa": (f"{FOUNDRY}/openbook_qa.jsonl", {"context": "Question: {{ query }}\nAnswer:", **CHOICE}),
    "gpt3/arc_easy": (f"{FOUNDRY}/arc_easy.jsonl", {"context": "{{ query }}\nAnswer:", **CHOICE}),
    "gpt3/hellaswag": ("eval/hellaswag-1000/hellaswag.public500.jsonl", {}),
}
"""Shipped task file -> the file that holds its items, and the keys that read its columns."""


def write_task_files(folder: Path, data: Path, shots: int, items: int | None) -> list[Path]:
    """The six, each beside its rows, of which the first ``items``."""
    paths = []
    for shipped, (rows, columns) in SETS.items():
        task = params.read_yaml(Path("tasks") / f"{shipped}.yaml")
        del task["hub"]
        path = folder / f"{task['name']}.yaml"
        with (data / rows).open(encoding="utf-8") as file:
            path.with_suffix(".jsonl").write_text("".join(islice(file, items)), encoding="utf-8")
        path.write_text(json.dumps({**task, **columns, "files": {"test": f"{task['name']}.jsonl"}, "shots": shots}), encoding="utf-8")
        paths.append(path)
    return paths


def table(scores: dict[str, Any]) -> Iterator[str]:
    """Rows of a table in Markdown."""
    yield "| set | metric | score | interval | chance | items | cut | calibration error |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, facts in scores.items():
        chance = "-" if facts["chance"] is None else f"{facts['chance']:.3f}"
        error = f"{facts['calibration']['expected_calibration_error']:.3f}" if "calibration" in facts else "-"
        score, interval = f"{facts['score']:.3f}", f"{facts['low']:.3f} to {facts['high']:.3f}"
        yield f"| {name} | {facts['metric']} | {score} | {interval} | {chance} | {facts['items']:,} | {facts['items_cut']:,} | {error} |"


def main() -> int:
    """Print the table and write results/evaluate_real.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("data/target"))
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"), help="folder with its tokenizer.json")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the sets")
    parser.add_argument("--shots", type=int, default=0, help="demonstrations in a prompt")
    parser.add_argument("--out", type=Path, default=Path("scratch/evaluate_real"), help="folder for all scores, items and diagrams")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ITEMS} items of each set")
    args = parser.parse_args()
    if not (args.data / FOUNDRY).exists():
        print(f"skipped: {args.data / FOUNDRY} is not there")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        tasks = write_task_files(Path(folder), args.data, args.shots, QUICK_ITEMS if args.quick else None)
        model = [str(args.checkpoint), "--tokenizer", str(args.tokens / "tokenizer.json")]
        status = evaluate.main([*model, "--task", *map(str, tasks), "--out", str(args.out)])
    if status:
        return status
    scores = json.loads((args.out / "scores.json").read_text(encoding="utf-8"))
    print("\n".join(table(scores["tasks"])))
    harness.RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"quick": args.quick, "shots": args.shots, **scores}, indent=2, sort_keys=True) + "\n"
    (harness.RESULTS / "evaluate_real.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
