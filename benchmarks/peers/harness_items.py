"""Six public sets as lm-evaluation-harness's own tasks put them in words, read from llm-foundry's and HellaSwag's files."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

Item = tuple[list[tuple[str, str]], int | None]
"""(context, continuation) of each candidate; the right one, None for LAMBADA."""
TASKS = ("lambada", "piqa", "copa", "openbook_qa", "arc_easy", "hellaswag")
FOUNDRY = "llm-foundry-icl-public"


def rows(file: Path, limit: int | None) -> list[dict[str, Any]]:
    """All rows, or ``limit`` of them from all over the file."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in (lines[:: max(1, len(lines) // limit)][:limit] if limit else lines)]


def choice(context: str, choices: list[str], gold: int) -> Item:
    """A context and what may follow it."""
    return [(context, f" {one}") for one in choices], gold


def hellaswag(text: str) -> str:
    """Without WikiHow's marks."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def items(data: Path, task: str, limit: int | None = None) -> list[Item]:
    """The items of one of ``TASKS``; ``data`` holds the sets' folders."""
    if task == "hellaswag":
        found = rows(data / "hellaswag-1000/hellaswag.public500.jsonl", limit)
        contexts = [hellaswag(f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}") for row in found]
        return [
            choice(text, [hellaswag(one) for one in row["endings"]], int(row["label"])) for text, row in zip(contexts, found, strict=True)
        ]
    found = rows(data / FOUNDRY / f"{'lambada_openai' if task == 'lambada' else task}.jsonl", limit)
    if task == "lambada":
        return [([(row["context"], f" {row['continuation']}")], None) for row in found]
    after = {"piqa": "\nAnswer:", "arc_easy": "\nAnswer:"}.get(task, "")
    queries = [row["query"].rstrip() if task == "piqa" else row["query"] for row in found]
    return [choice(query + after, row["choices"], row["gold"]) for query, row in zip(queries, found, strict=True)]


def picked(found: list[Item], scores: np.ndarray) -> list[int]:
    """The candidate of the highest score of each item; accuracy with and without the length follows from it."""
    ends = np.cumsum([len(candidates) for candidates, _ in found])
    return [int(part.argmax()) for part in np.split(scores, ends[:-1])]
