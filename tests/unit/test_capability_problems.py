"""Problems and lines: right by their own rules, the same every time, and no problem of the test among the lines."""

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from components.artifacts import TokenShards, sha256_file
from components.capability.config import ProblemsConfig
from components.capability.problems import LINE_CHARS, TASKS, make_problems, training_lines
from components.capability.tokens import END_OF_LINE, encode, write_capability_tokens
from flows import params
from flows.stages.forecast_capability import Sections

CONFIG = ProblemsConfig(
    seed=0,
    per_task=50,
    alphabet_letters=16,
    letter_skew=2.0,
    addition_parts=4,
    copying_parts=4,
    falsehood_parts=2,
    train_tokens=3000,
    held_out_tokens=500,
)


def is_right(prompt: str, answer: str) -> bool:
    if prompt.endswith(">"):
        return answer == prompt[:-1]
    a, b = prompt[:-1].split("+")
    return int(answer) == int(a) + int(b)


def test_every_answer_is_right_every_lure_wrong_and_no_problem_occurs_twice() -> None:
    problems = make_problems(CONFIG)
    assert Counter(problem.task for problem in problems) == dict.fromkeys(TASKS, 50)
    assert len({problem.prompt for problem in problems}) == len(problems)
    for problem in problems:
        assert is_right(problem.prompt, problem.answer)
        assert bool(problem.lure) == (problem.task == "falsehood")
        assert not problem.lure or not is_right(problem.prompt, problem.lure)
        assert {len(problem.prompt + answer) for answer in (problem.answer, problem.lure or problem.answer)} == {LINE_CHARS}


def test_lines_hold_the_kinds_by_their_parts_and_no_right_answer_to_a_problem() -> None:
    problems = {problem.prompt: problem for problem in make_problems(CONFIG)}
    lines = list(islice(training_lines(CONFIG, "train"), 20_000))
    false = [line for line in lines if not is_right(line[: line.index("=" if "=" in line else ">") + 1], line[-3 if "=" in line else -4 :])]
    assert abs(len(false) / len(lines) - 0.2) < 0.02
    assert abs(sum(">" in line for line in lines) / len(lines) - 0.4) < 0.02
    told = {prompt + problem.answer for prompt, problem in problems.items()}
    assert not told & set(lines)
    assert set(false) == {prompt + problem.lure for prompt, problem in problems.items() if problem.lure}


def test_rare_letters_are_rare() -> None:
    letters = Counter("".join(line for line in islice(training_lines(CONFIG, "train"), 5000) if ">" in line).replace(">", ""))
    assert letters["a"] > 4 * letters["p"] > 0


def test_lines_depend_on_seed_and_split_alone() -> None:
    first = list(islice(training_lines(CONFIG, "train"), 100))
    assert list(islice(training_lines(CONFIG, "train"), 100)) == first
    assert list(islice(training_lines(CONFIG, "held_out"), 100)) != first
    assert list(islice(training_lines(CONFIG.model_copy(update={"seed": 1}), "train"), 100)) != first


def test_a_window_of_the_stream_is_a_line(tmp_path: Path) -> None:
    assert write_capability_tokens(CONFIG, tmp_path / "tokens")["train"] > CONFIG.train_tokens
    shards = TokenShards(tmp_path / "tokens")
    row = shards.stream("train").read(0, 3000).reshape(-1, LINE_CHARS + 1)
    np.testing.assert_array_equal(row[:, 0], END_OF_LINE)
    assert row[:, 1:].min() > END_OF_LINE
    assert row[0, 1:].tolist() == encode(next(training_lines(CONFIG, "train")))
    write_capability_tokens(CONFIG, tmp_path / "again")
    files = [path.relative_to(tmp_path / "tokens") for path in (tmp_path / "tokens").rglob("*.*")]
    assert all(sha256_file(tmp_path / "tokens" / file) == sha256_file(tmp_path / "again" / file) for file in files)


@pytest.mark.parametrize("place", ["capability.target", *(f"capability.sizes.s{number}" for number in (1, 2, 3, 4, 5))])
def test_the_shipped_family_reads_line_by_line_what_the_stream_holds(place: str) -> None:
    loaded = params.load(Sections, ["capability.common", place])
    assert loaded.model.context_length == LINE_CHARS + 1
    assert loaded.training.tokens_seen <= loaded.capability.problems.train_tokens
