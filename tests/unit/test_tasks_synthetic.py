"""GPT-3's synthetic tasks are right by their own text and follow the published rules."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from components.errors import InputError
from components.tasks import synthetic
from components.tasks.config import TasksConfig
from components.tasks.items import DraftTask, FreeForm
from tests.unit.tasks_fakes import tasks_config

WORDS = [f"{a}{b}{c}ration" for a in "bcdfg" for b in "aeiou" for c in "lmnprst"]
OPERATORS = {"plus": "+", "minus": "-", "times": "*"}
RELEASED = Path("../shared/data/eval/openai-gpt3-arithmetic-scramble")


def arithmetic(name: str, config: TasksConfig | None = None) -> DraftTask:
    return next(draft for draft in synthetic.arithmetic(config or tasks_config()) if draft.name == name)


def scrambled(name: str) -> list[tuple[str, str]]:
    draft = next(draft for draft in synthetic.scrambles([" ".join(WORDS)], tasks_config()) if draft.name == name)
    pairs = []
    for row in draft.train + draft.test:
        assert isinstance(row.item, FreeForm)
        match = re.fullmatch(r"\n(.*) =", row.item.context)
        assert match and row.item.completion.startswith(" ")
        pairs.append((match[1], row.item.completion[1:]))
    return pairs


@pytest.mark.parametrize("name", [draft.name for draft in synthetic.arithmetic(tasks_config())])
def test_answers_are_what_the_questions_evaluate_to(name: str) -> None:
    draft = arithmetic(name)
    asked = set()
    for row in draft.train + draft.test:
        assert isinstance(row.item, FreeForm)
        match = re.fullmatch(r"\n\nQ: What is (.*)\?\n\nA:", row.item.context)
        assert match
        expression = re.sub(r"plus|minus|times", lambda word: OPERATORS[word[0]], match[1])
        assert row.item.completion == f" {eval(expression)}"  # our own digits and operators
        asked.add(row.item.context)
    assert len(asked) == len(draft.train) + len(draft.test)


@pytest.mark.parametrize(("name", "highest"), [("two_digit_addition", 99), ("two_digit_subtraction", 99), ("three_digit_addition", 999)])
def test_operands_are_uniform_from_zero(name: str, highest: int) -> None:
    draft = arithmetic(name, tasks_config(synthetic_items=(1000, 1000)))
    operands = [int(digits) for row in draft.train + draft.test for digits in re.findall(r"\d+", row.item.context)]  # type: ignore[union-attr]
    assert min(operands) <= highest // 100 and max(operands) >= highest - highest // 100
    assert abs(sum(operands) / len(operands) - highest / 2) < highest * 0.02


def test_composites_bracket_the_first_two_digits_as_the_released_file_does() -> None:
    for row in arithmetic("one_digit_composite").test:
        assert re.search(r"is \([1-9] [-+*] [1-9]\) [-+*] [1-9]\?", row.item.context)  # type: ignore[union-attr]


def test_more_questions_than_there_are_is_an_error_that_names_the_parameter() -> None:
    with pytest.raises(InputError, match=r"one_digit_composite has only 6561; lower tasks\.synthetic"):
        synthetic.arithmetic(tasks_config(synthetic_items=(6000, 600)))


def test_cycles_turn_the_word() -> None:
    for scramble, word in scrambled("cycle_letters"):
        assert scramble != word and scramble in word + word


@pytest.mark.parametrize(("name", "kept"), [("anagrams1", 1), ("anagrams2", 2)])
def test_anagrams_keep_the_ends(name: str, kept: int) -> None:
    for scramble, word in scrambled(name):
        assert scramble != word and sorted(scramble) == sorted(word)
        assert scramble[:kept] == word[:kept] and scramble[-kept:] == word[-kept:]


def test_insertions_stand_between_all_letters() -> None:
    marks: Counter[str] = Counter()
    for scramble, word in scrambled("random_insertion"):
        assert scramble[::2] == word
        marks.update(scramble[1::2])
    assert set(marks) == set(" .!/")


def test_reversed_words_are() -> None:
    for scramble, word in scrambled("reversed_words"):
        assert scramble == word[::-1]


def test_words_of_test_items_never_serve_training() -> None:
    for draft in synthetic.scrambles([" ".join(WORDS)], tasks_config()):
        answers = [{row.item.completion for row in part} for part in (draft.train, draft.test)]  # type: ignore[union-attr]
        assert answers[0].isdisjoint(answers[1])


def test_frequent_words_are_lower_case_words_of_the_wanted_length_most_frequent_first() -> None:
    config = tasks_config().synthetic.model_copy(update={"most_frequent_words": 2})
    texts = ["matrix matrix vector vector tensor", "Matrices x_matrix don'tmatrix short averyveryverylongword matrix"]
    assert synthetic.frequent_words(texts, config) == ["matrix", "vector"]


def test_too_few_words_is_an_error() -> None:
    with pytest.raises(InputError, match="cycle_letters has only 0"):
        synthetic.scrambles(["no such words"], tasks_config())


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("two_digit_addition", "two_digit_addition.jsonl"),
        ("two_digit_subtraction", "two_digit_subtraction.jsonl"),
        ("two_digit_multiplication", "two_digit_multiplication.jsonl"),
        ("three_digit_addition", "three_digit_addition.jsonl"),
        ("cycle_letters", "cycle_letters_in_word.jsonl.gz"),
        ("random_insertion", "random_insertion_in_word.jsonl.gz"),
    ],
)
def test_prompts_look_like_the_released_ones(name: str, file: str) -> None:
    if not RELEASED.exists():
        pytest.skip(f"{RELEASED} is not here")
    opener = gzip.open if file.endswith(".gz") else open
    with opener(RELEASED / file, "rt", encoding="utf-8") as lines:
        released = [json.loads(next(lines)) for _ in range(200)]
    drafts = [*synthetic.arithmetic(tasks_config()), *synthetic.scrambles([" ".join(WORDS)], tasks_config())]
    ours = next(draft for draft in drafts if draft.name == name)
    assert {_shape(row["context"]) + _shape(row["completion"]) for row in released} >= {
        _shape(row.item.context) + _shape(row.item.completion)  # type: ignore[union-attr]
        for row in ours.train + ours.test
    }


def _shape(text: str) -> str:
    """Runs of digits, of letters beside digits, and of inserted marks made equal; all else as it stands."""
    if " =" in text or ("Q:" not in text and not re.search(r"\d", text)):
        return re.sub(r"[a-z][a-z .!/]*[a-z]", "w", text)
    return re.sub(r"\d+", "9", text)
