"""The words of the prompts, who demonstrates to whom, and what happens when not all fits."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.evaluation.few_shot import write_prompt
from components.evaluation.prompts import DESCRIPTIONS, Demonstrations, Question, ask, draw_questions
from components.tasks.items import ITEM_TYPES, Classification, Entailment, FreeForm, Item, LabelledTask, MultipleChoice, Similarity

END = 256


def encode(text: str) -> tuple[int, ...]:
    """One token a byte, so that a prompt can be read again."""
    return tuple(text.encode())


def task_of(name: str, labels: tuple[str, ...], item: Item) -> LabelledTask:
    transformation = next(name for name, item_type in ITEM_TYPES.items() if isinstance(item, item_type))
    return LabelledTask(name, transformation, labels, [item], [item])


def prompt_text(name: str, labels: tuple[str, ...], shown: Item, asked: Item) -> str:
    task = task_of(name, labels, asked)
    prompt = write_prompt(encode, END, DESCRIPTIONS.get(name, ""), [ask(task, shown)], ask(task, asked), 10_000)
    assert prompt.tokens[0] == END
    assert (prompt.shots_used, prompt.cut) == (1, False)
    return bytes(prompt.tokens[1:]).decode()


GOLDEN = [
    (
        "two_digit_addition",
        (),
        FreeForm("\n\nQ: What is 12 plus 3?\n\nA:", " 15"),
        FreeForm("\n\nQ: What is 98 plus 45?\n\nA:", " 143"),
        "Q: What is 12 plus 3?\n\nA: 15\n\nQ: What is 98 plus 45?\n\nA:",
    ),
    (
        "cycle_letters",
        (),
        FreeForm("\ntterla =", " latter"),
        FreeForm("\nasinoc =", " casino"),
        "Please unscramble the letters into a word, and write that word:\ntterla = latter\nasinoc =",
    ),
    (
        "library",
        ("numpy", "torch"),
        Classification("Sum of elements.", 0),
        Classification("A tensor.", 1),
        "Sum of elements.\nlibrary: numpy\n\nA tensor.\nlibrary:",
    ),
    (
        "summary_match",
        ("other", "own"),
        Entailment("Body.", "Summary.", 1),
        Entailment("Text.", "Title.", 0),
        "Body.\nquestion: Summary. True or False?\nanswer: True\n\nText.\nquestion: Title. True or False?\nanswer:",
    ),
    (
        "see_also",
        ("unrelated", "related"),
        Similarity("One.", "Two.", 0),
        Similarity("Three.", "Four.", 1),
        "One.\nTwo.\nquestion: Are the two texts above related, yes or no?\nanswer: no\n\n"
        "Three.\nFour.\nquestion: Are the two texts above related, yes or no?\nanswer:",
    ),
    (
        "name_choice",
        (),
        MultipleChoice("Compute _.", ("svd", "qr"), 1),
        MultipleChoice("Draw _.", ("plot", "bar"), 0),
        "Question: Compute _.\nAnswer: qr\n\nQuestion: Draw _.\nAnswer:",
    ),
    (
        "nli",
        ("contradiction", "entailment", "neutral"),
        Entailment("P.", "H.", 2),
        Entailment("Q.", "I.", 0),
        "P.\nquestion: H. neutral, entailment or contradiction?\nanswer: neutral\n\n"
        "Q.\nquestion: I. neutral, entailment or contradiction?\nanswer:",
    ),
]


@pytest.mark.parametrize(("name", "labels", "shown", "asked", "expected"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_formats(name: str, labels: tuple[str, ...], shown: Item, asked: Item, expected: str) -> None:
    assert prompt_text(name, labels, shown, asked) == expected


def test_candidates_and_the_right_one() -> None:
    choice = MultipleChoice("C", ("svd", "qr"), 1)
    question = ask(task_of("name_choice", (), choice), choice)
    assert (question.answers, question.right, question.answer_context) == ((" svd", " qr"), 1, "Answer:")
    pair = Entailment("P", "H", 1)
    question = ask(task_of("summary_match", ("other", "own"), pair), pair)
    assert (question.answers, question.right) == ((" False", " True"), 1)


def test_a_score_is_asked_for_as_the_nearest_whole_number() -> None:
    pair = Similarity("P", "H", 3.75)
    question = ask(task_of("sts", tuple("012345"), pair), pair)
    assert question.answers[question.right] == " 4"


def sums(numbers: list[int]) -> list[Question]:
    task = LabelledTask("sums", "free_form", (), [], [])
    return [ask(task, FreeForm(f"\n\nQ: {number} plus 1?\n\nA:", f" {number + 1}")) for number in numbers]


@given(st.sets(st.integers(0, 60), min_size=1, max_size=40), st.integers(0, 60), st.integers(0, 9), st.randoms(use_true_random=False))
def test_demonstrations_are_distinct_never_the_question_and_know_no_order(
    numbers: set[int], asked: int, shots: int, order: random.Random
) -> None:
    (question,) = sums([asked])
    shuffled = sorted(numbers)
    order.shuffle(shuffled)
    drawn = Demonstrations(0, "sums", sums(sorted(numbers))).draw(question, shots)
    assert drawn == Demonstrations(0, "sums", sums(shuffled)).draw(question, shots)
    assert len({other.key for other in drawn}) == len(drawn) == min(shots, len(numbers - {asked}))
    assert question not in drawn
    assert drawn == Demonstrations(0, "sums", sums(sorted(numbers))).draw(question, shots + 1)[-shots or len(numbers) + 1 :]


def test_the_same_question_with_another_answer_never_demonstrates() -> None:
    task = LabelledTask("nli", "entailment", ("no", "yes"), [], [])
    question, twin = (ask(task, Entailment("P", "H", label)) for label in (0, 1))
    other = ask(task, Entailment("Q", "H", 0))
    assert Demonstrations(0, "nli", [twin, other, question]).draw(question, 3) == [other]


def test_draws_differ_between_questions_seeds_and_tasks() -> None:
    pool, questions = sums(list(range(100))), sums(list(range(100, 110)))
    draws = {tuple(Demonstrations(seed, task, pool).draw(question, 3)) for seed in (0, 1) for task in ("a", "b") for question in questions}
    assert len(draws) == 40


def test_what_goes_on_after_the_answer_is_not_drawn() -> None:
    """Turns of one dialogue: an earlier one may be shown, a later one tells the answer."""
    texts = ["Story. Q: a? A:", "Story. Q: a? A: 1 Q: b? A:", "Story. Q: a? A: 1 Q: b? A: 2 Q: c? A:", "Story. Q: a? A: 10 Q: b? A:"]
    turns = [Question("\n", text, (answer,), 0, "") for text, answer in zip(texts, (" 1", " 2", " 3", " 20"), strict=True)]
    pool = Demonstrations(0, "talk", turns)
    assert {one.answers[0] for one in pool.draw(turns[1], 9)} == {" 1", " 20"}
    assert {one.answers[0] for one in pool.draw(turns[2], 9)} == {" 1", " 2", " 20"}


def test_every_train_item_is_drawn_about_as_often() -> None:
    pool = Demonstrations(0, "sums", sums(list(range(10))))
    counts = dict.fromkeys((question.context for question in sums(list(range(10)))), 0)
    for question in sums(list(range(100, 1100))):
        counts[pool.draw(question, 1)[0].context] += 1
    assert all(60 < count < 140 for count in counts.values())  # 100 expected, standard deviation 9.5


def test_test_items_are_a_draw_that_knows_no_order() -> None:
    questions = sums(list(range(50)))
    drawn = draw_questions(0, "sums", questions, 10)
    assert drawn == [49 - place for place in draw_questions(0, "sums", questions[::-1], 10)]
    assert len(set(drawn)) == 10
    assert drawn != draw_questions(1, "sums", questions, 10) != list(range(10))
    assert len(draw_questions(0, "sums", questions, 1000)) == 50


def test_what_does_not_fit_is_dropped_from_the_front() -> None:
    first, second, asked = sums([10, 20, 30])
    whole = write_prompt(encode, END, "Add:", [first, second], asked, 1000)
    length = len(whole.tokens)
    assert write_prompt(encode, END, "Add:", [first, second], asked, length) == whole
    shorter = write_prompt(encode, END, "Add:", [first, second], asked, length - 1)
    assert shorter == write_prompt(encode, END, "Add:", [second], asked, 1000)
    assert shorter.shots_used == 1
    bare = write_prompt(encode, END, "Add:", [], asked, 1000)
    assert write_prompt(encode, END, "Add:", [first, second], asked, len(bare.tokens)) == bare


def test_a_question_longer_than_the_context_keeps_its_end() -> None:
    prompt = write_prompt(encode, END, "", sums([1]), sums([2])[0], 6)
    assert (prompt.shots_used, prompt.cut) == (0, True)
    assert prompt.tokens == (END, *encode("?\n\nA:"))
    assert write_prompt(encode, END, "", [], sums([2])[0], 1).tokens == (END,)
