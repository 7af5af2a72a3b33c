"""Protocols on a small model against plain counting; answers against exhaustive search; overlap against planted leaks."""

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from components.artifacts import read_json
from components.errors import InputError
from components.evaluation.calibration import reliability
from components.evaluation.contamination import clean_against_all, find_overlap
from components.evaluation.generation import answer_text, beam_answers, ends_line
from components.evaluation.metrics import best_f1, exact_match, score
from components.evaluation.prompting import Prompter
from components.evaluation.protocols import Examiner, Outcome
from components.evaluation.report import chance, compare, summary
from components.evaluation.resampling import bootstrap_interval, mcnemar_p, swap_p
from components.evaluation.rows import Place, Posed, pose
from components.evaluation.scoring import Request, log_likelihoods
from components.evaluation.task_data import load_task
from components.evaluation.task_file import Files, TaskFile
from components.evaluation.units import RULES, count_units, detokenized, per_unit, rolling_requests
from components.tokenization.byte_pair import BytePairTokenizer
from components.transformer.model import GPT
from flows.schema import check
from flows.task_files import read_task_file
from tests.configs import gpt_config
from tests.small_model import one_thread

CONTEXT = 48
TEXT = "the cat sat on the mat, then that cat ate the rat\nand so on; Q: what is 12 plus 30? A: 42\n" * 3
PROTOCOL = check().protocol.model_copy(update={"max_answer_tokens": 4, "bootstrap_samples": 200})


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    yield from one_thread()


@pytest.fixture(scope="module")
def tokenizer() -> BytePairTokenizer:
    return BytePairTokenizer.train(iter([TEXT]), 290)


@pytest.fixture(scope="module")
def model(tokenizer: BytePairTokenizer) -> GPT:
    torch.manual_seed(0)
    model = GPT(gpt_config(tokenizer.vocab_size, context_length=CONTEXT, num_layers=2)).eval()
    with torch.no_grad():
        model.token_embedding.weight.mul_(15)
    return model


def task(**changes: Any) -> TaskFile:
    base = {"name": "t", "source": "a test", "files": {"test": "a.jsonl"}, "shots": 0, "kind": "multiple_choice", "context": "{{ q }} is"}
    choice = {"choices": "c", "label": "l", "normalization": "sum", "metric": "accuracy"} if "kind" not in changes else {}
    return TaskFile.model_validate({**base, **choice, **changes})


def posed(made: TaskFile, rows: list[dict[str, Any]]) -> list[Posed]:
    return [pose(made, Place(f"row {number}", row)) for number, row in enumerate(rows)]


CHOICES = [
    {"q": q, "c": ["the cat", "a rat, then", "42"], "l": label} for q, label in [("what", 0), ("that cat", 1), ("the mat", 2), ("so", 1)]
]


def plain(model: GPT, tokenizer: BytePairTokenizer, context: str, answer: str, prefix: tuple[int, ...]) -> tuple[float, int]:
    before = (*prefix, *tokenizer.encode(context))
    tokens = (*prefix, *tokenizer.encode(context + answer))
    logprobs = model(torch.tensor([tokens[:-1]]))[0].double().log_softmax(-1)
    places = range(len(before), len(tokens))
    return float(sum(logprobs[place - 1, tokens[place]] for place in places)), len(tokens) - len(before)


@torch.inference_mode()
@pytest.mark.parametrize("normalization", ["sum", "per_token", "per_character", "unconditional"])
def test_choices_by_each_normalisation(model: GPT, tokenizer: BytePairTokenizer, normalization: str) -> None:
    made = task(normalization=normalization, answer_context="is", kind="multiple_choice", choices="c", label="l", metric="accuracy")
    outcomes = Examiner(model, tokenizer, PROTOCOL).examine(made, posed(made, CHOICES), [])
    end = (tokenizer.end_of_text,)
    for row, outcome in zip(CHOICES, outcomes, strict=True):
        scores = []
        for choice in row["c"]:
            value, length = plain(model, tokenizer, f"{row['q']} is", f" {choice}", end)
            alone, _ = plain(model, tokenizer, "is", f" {choice}", end)
            scores.append(
                {"sum": value, "per_token": value / length, "per_character": value / len(choice), "unconditional": value - alone}[
                    normalization
                ]
            )
        assert outcome.predicted == int(np.argmax(scores))
        assert outcome.value == float(outcome.predicted == row["l"])
        assert outcome.probabilities == pytest.approx(np.exp(scores) / np.exp(scores).sum(), abs=1e-5)


@torch.inference_mode()
def test_partial_scoring_compares_one_ending_after_each_context(model: GPT, tokenizer: BytePairTokenizer) -> None:
    made = task(
        context="{{ choice }}",
        continuation=" ate the rat",
        kind="multiple_choice",
        choices="c",
        label="l",
        normalization="sum",
        metric="accuracy",
    )
    [outcome] = Examiner(model, tokenizer, PROTOCOL).examine(made, posed(made, CHOICES[:1]), [])
    scores = [plain(model, tokenizer, choice, " ate the rat", (tokenizer.end_of_text,))[0] for choice in CHOICES[0]["c"]]
    assert outcome.probabilities == pytest.approx(np.exp(scores) / np.exp(scores).sum(), abs=1e-5)


def test_demonstrations_are_k_of_train_and_never_the_item(model: GPT, tokenizer: BytePairTokenizer) -> None:
    made = task(
        shots=2, separator="\n", description="Say:", kind="multiple_choice", choices="c", label="l", normalization="sum", metric="accuracy"
    )
    items = posed(made, CHOICES)
    prompter = Prompter(made, items, tokenizer, PROTOCOL, 1000)
    for item in items:
        prompt = prompter.prompt(item, 0)
        lines = prompt.preamble.split("\n")
        assert (lines[0], lines[-1], len(lines), prompt.shots_used) == ("Say:", "", 4, 2)
        others = {other.question.demonstration for other in items if other is not item}
        assert set(lines[1:-1]) < others
        short = Prompter(made, items, tokenizer, PROTOCOL, len(tokenizer.encode(prompt.preamble))).prompt(item, 0)
        assert short.shots_used < 2
        assert prompt.preamble.endswith(short.preamble.removeprefix("Say:\n"))
    with pytest.raises(InputError, match="asks for 9 demonstrations, but there are only 3 items"):
        Prompter(made.model_copy(update={"shots": 9}), items, tokenizer, PROTOCOL, 1000).prompt(items[0], 0)


def test_an_item_longer_than_the_context_loses_its_beginning_and_is_counted(model: GPT, tokenizer: BytePairTokenizer) -> None:
    made = task()
    items = posed(made, [{**CHOICES[0], "q": TEXT}, CHOICES[1]])
    outcomes = Examiner(model, tokenizer, PROTOCOL).examine(made, items, [])
    assert [one.cut_tokens > 0 for one in outcomes] == [True, False]
    assert summary(made, outcomes, PROTOCOL)["items_cut"] == 1


@torch.inference_mode()
def test_an_answer_longer_than_the_context_is_read_in_windows(model: GPT, tokenizer: BytePairTokenizer) -> None:
    made = task(normalization="per_token", kind="multiple_choice", choices="c", label="l", metric="accuracy")
    [outcome] = Examiner(model, tokenizer, PROTOCOL).examine(made, posed(made, [{"q": "a", "c": [TEXT, "b"], "l": 0}]), [])
    context = tokenizer.encode("a is")
    text = [*context, *tokenizer.encode(f"a is {TEXT}")[len(context) :]]
    answer = len(text) - len(context)
    assert outcome.units == answer > CONTEXT
    total, window = 0.0, CONTEXT // 2
    for start in range(len(context), len(text), window):
        stop = min(start + window, len(text))
        before = [tokenizer.end_of_text, *text[:start]] if start == len(context) else text[max(0, stop - CONTEXT - 1) : start]
        logprobs = model(torch.tensor([[*before, *text[start : stop - 1]]]))[0].double().log_softmax(-1)
        total += float(logprobs[len(before) - 1 :].gather(1, torch.tensor(text[start:stop])[:, None]).sum())
    assert outcome.log_likelihood == pytest.approx(total, abs=1e-3)


def test_nan_scores_are_refused(tokenizer: BytePairTokenizer, model: GPT) -> None:
    broken = GPT(model.config).eval()
    with torch.no_grad():
        broken.token_embedding.weight.fill_(math.nan)
    for made, rows in (
        (task(), CHOICES),
        (task(kind="completion", answers="[a]", metric="accuracy"), [{"q": "a", "a": "cat"}]),
        (task(kind="answer", answers="[a]", beams=1, metric="exact_match"), [{"q": "a", "a": "cat"}]),
        (task(kind="text", context="{{ t }}", metric="per_word"), [{"t": TEXT}]),
    ):
        with pytest.raises(InputError, match="the model gives NaN scores"):
            Examiner(broken, tokenizer, PROTOCOL).examine(made, posed(made, rows), [])


@torch.inference_mode()
def test_completions_are_right_when_greedy_decoding_says_them(model: GPT, tokenizer: BytePairTokenizer) -> None:
    prompt = (tokenizer.end_of_text, *tokenizer.encode("then that"))
    [greedy] = beam_answers(model, prompt, 1, 1, 0.0, lambda _: False)
    said = tokenizer.decode(greedy.tokens)
    made = task(kind="completion", context="then that", answers="[a]", continuation="{{ choice }}", metric="accuracy")
    outcomes = Examiner(model, tokenizer, PROTOCOL).examine(made, posed(made, [{"a": said}, {"a": " x"}]), [])
    assert [one.value for one in outcomes] == [1.0, 0.0]
    assert summary(made, outcomes, PROTOCOL)["perplexity"] == pytest.approx(math.exp(-np.mean([one.log_likelihood for one in outcomes])))


def test_the_stop_word_filter_takes_the_best_word_that_is_none(
    model: GPT, tokenizer: BytePairTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.evaluation import protocols
    from components.evaluation.generation import Beam

    words = [" the cat", " my, ", " mat. ", " rat. "]
    beams = [Beam(tuple(tokenizer.encode(word)), -float(rank), ended=True) for rank, word in enumerate(words)]
    monkeypatch.setattr(protocols, "beam_answers", lambda *_: beams)
    made = task(kind="completion", context="on", answers="[a]", stop_words=True, metric="accuracy")
    outcomes = Examiner(model, tokenizer, PROTOCOL).examine(made, posed(made, [{"a": "mat"}, {"a": "the"}]), [])
    assert [(one.predicted, one.value) for one in outcomes] == [("mat", 1.0), ("mat", 0.0)]


@torch.inference_mode()
@pytest.mark.parametrize("length_penalty", [0.0, 0.6])
def test_wide_beams_find_the_best_answer_of_all(model: GPT, tokenizer: BytePairTokenizer, length_penalty: float) -> None:
    prompt = tuple(tokenizer.encode("that cat"))
    vocab = tokenizer.vocab_size
    is_end = lambda tokens: tokens[-1] < 270  # noqa: E731
    beams = beam_answers(model, prompt, vocab, 2, length_penalty, is_end)
    first = [(token,) for token in range(vocab) if token < 270]
    answers = first + [(a, b) for a in range(270, vocab) for b in range(vocab)]
    scores = log_likelihoods(model, [Request(prompt, answer) for answer in answers], 64).log_likelihoods
    ranked = scores / np.array([((5 + len(answer)) / 6) ** length_penalty for answer in answers])
    done = [number for number, answer in enumerate(answers) if is_end(answer)]
    best = max(done, key=lambda number: ranked[number])
    ended = [beam for beam in beams if beam.ended]
    assert ended[0].tokens == answers[best]
    assert ended[0].log_likelihood == pytest.approx(scores[best], abs=1e-4)


@torch.inference_mode()
def test_one_beam_is_greedy_decoding(model: GPT, tokenizer: BytePairTokenizer) -> None:
    for text in ("the cat", "Q: what", "so on;"):
        tokens = list(tokenizer.encode(text))
        for _ in range(6):
            tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
        [beam] = beam_answers(model, tuple(tokenizer.encode(text)), 1, 6, 0.6, lambda _: False)
        assert beam.tokens == tuple(tokens[-6:])
    newline = tuple(tokenizer.encode(" 42\nand"))
    assert answer_text(tokenizer, newline) == "42"
    assert ends_line(tokenizer)(tuple(tokenizer.encode(" 42\n"))) and not ends_line(tokenizer)(tuple(tokenizer.encode(" 42")))


@pytest.mark.slow  # the library loads others
def test_exact_match_and_f1_are_those_of_squad() -> None:
    from torchmetrics.functional.text import squad

    cases = [("The cat.", ["cat"]), ("a black cat", ["the cat", "black dog"]), ("", ["cat"]), ("on a mat", ["mat, on"]), ("42", ["43"])]
    for said, accepted in cases:
        library = squad(
            {"prediction_text": said, "id": "1"}, {"answers": {"text": accepted, "answer_start": [0] * len(accepted)}, "id": "1"}
        )
        assert exact_match(said, accepted) * 100 == pytest.approx(float(library["exact_match"]))
        assert best_f1(said, accepted) * 100 == pytest.approx(float(library["f1"]))


@torch.inference_mode()
def test_perplexity_of_windows_counts_each_token_once(model: GPT, tokenizer: BytePairTokenizer) -> None:
    tokens = tokenizer.encode(TEXT)
    windows = rolling_requests(tokens, tokenizer.end_of_text, CONTEXT)
    assert [token for window in windows for token in window.continuation] == tokens
    assert all(len(window.read) <= CONTEXT for window in windows) and len(windows[-1].read) == CONTEXT
    made = task(kind="text", context="{{ t }}", metric="per_word")
    outcomes = Examiner(model, tokenizer, PROTOCOL).examine(made, posed(made, [{"t": TEXT}]), [])
    total = -log_likelihoods(model, windows, 1).log_likelihoods.sum()
    assert score(made, outcomes) == pytest.approx(math.exp(total / count_units(TEXT, "per_word")), rel=1e-5)
    assert per_unit(math.log(2) * 8, 4, "bits_per_byte") == 2


TOKENISED = [
    ("ptb", "it does n't see mr. <unk> 's $ N million or N % change", "it doesn't see mr. <unk> 's $N million or N% change"),
    ("wikitext", "a well @-@ known son , of 1 @,@ 000 men ( and 2 @.@ 5 ) .", "a well-known son, of 1,000 men (and 2.5)."),
    ("wikitext", "it is n't what isn't clear", "it is n't what isn't clear"),
]  # fmt: skip


@pytest.mark.parametrize(("how", "tokenised", "plain_text"), TOKENISED)
def test_detokenisers(how: str, tokenised: str, plain_text: str) -> None:
    assert detokenized(tokenised, how) == plain_text  # type: ignore[arg-type]


def test_detokenisers_can_be_undone_line_by_line() -> None:
    import re

    words = ["it", "'s", "n't", ",", ".", "(", ")", "$", "5", "@-@", "%", "a,b", "don't"]
    for line in (" ".join(drawn) for drawn in itertools.product(words, repeat=3)):
        for how, rules in RULES.items():
            for rule in rules:
                changed = rule.apply(line)
                assert changed == line or re.sub(rule.undo_pattern, rule.undo_replacement, changed) == line, (how, line)


def outcome(value: float, text: str = "t", predicted: int = 0, right: int = 0) -> Outcome:
    return Outcome("w", text, value, predicted, right, (0.5, 0.5), -1.0, 1, 0, 0)


WIKITEXT = Path(__file__).parents[3] / "shared" / "data" / "text" / "wikitext-2" / "valid.txt"


@pytest.mark.shared_data
@pytest.mark.skipif(not WIKITEXT.exists(), reason=f"{WIKITEXT} is not there")
def test_wikitext_2_has_the_published_articles_and_words(tmp_path: Path) -> None:
    """60 articles, 217,646 tokens in its validation set (Merity 2016, table 1), from lines as the Hub gives them: blank ones are empty."""
    lines = WIKITEXT.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [{"text": line if line.strip() else ""} for line in lines]
    (tmp_path / "valid.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    shipped = read_task_file(Path("tasks/gpt2/wikitext2.yaml"))
    texts = load_task(shipped.model_copy(update={"hub": None, "files": Files(test="valid.jsonl")}), tmp_path, PROTOCOL).test
    assert len(texts) == 60
    assert sum(count_units(posed.continuations[0], shipped.metric) for posed in texts) == 217_646
    assert sorted(line for posed in texts for line in posed.continuations[0].splitlines()) == sorted(line.rstrip("\n") for line in lines)


def test_lines_are_parts_of_the_text_that_began_before_them(tmp_path: Path) -> None:
    rows = [{"t": t} for t in ("", "= one", "", "a b", "= two", "c")]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    made = task(kind="text", context="{{ t or '' }}\n", begins="t.startswith('=')", metric="per_word", files={"test": "t.jsonl"})
    texts = load_task(made, tmp_path, PROTOCOL).test
    assert {posed.where.rpartition(" ")[2]: posed.continuations[0] for posed in texts} == {"1": "\n= one\n\na b\n", "5": "= two\nc\n"}
    with pytest.raises(InputError, match=r"t.jsonl: line 1: context of task .* is empty"):
        load_task(made.model_copy(update={"begins": None}), tmp_path, PROTOCOL)
    with pytest.raises(ValidationError, match="begins is for kind text"):
        task(begins="t")


def test_scores_of_classes_by_hand() -> None:
    pairs = [(1, 1)] * 6 + [(1, 0)] * 2 + [(0, 1)] * 1 + [(0, 0)] * 3  # predicted, right
    outcomes = [outcome(float(p == r), "t", p, r) for p, r in pairs]
    kinds = {"kind": "multiple_choice", "choices": "c", "label": "l", "normalization": "sum"}
    assert score(task(**kinds, metric="f1", positive=1), outcomes) == pytest.approx(2 * 6 / (2 * 6 + 2 + 1))
    assert score(task(**kinds, metric="f1_macro"), outcomes) == pytest.approx((12 / 15 + 6 / 9) / 2)
    assert score(task(**kinds, metric="matthews"), outcomes) == pytest.approx((6 * 3 - 2 * 1) / math.sqrt(8 * 7 * 5 * 4))
    assert score(task(**kinds, metric="accuracy"), outcomes) == 0.75


def test_calibration_is_the_library_s() -> None:
    from torchmetrics.functional.classification import binary_calibration_error

    draw = np.random.default_rng(0)
    sure = draw.uniform(0.5, 1, 300)
    right = draw.random(300) < sure * 0.8
    made = reliability(sure.tolist(), right.tolist(), 10, 0.95)
    library = binary_calibration_error(torch.tensor(sure), torch.tensor(right.astype(int)), n_bins=10)
    assert made["expected_calibration_error"] == pytest.approx(float(library), abs=1e-6)
    assert sum(row["items"] for row in made["bins"]) == 300
    assert reliability([1.0, 1.0], [True, True], 10, 0.95)["expected_calibration_error"] == 0


def test_intervals_cover_and_tests_keep_their_level() -> None:
    draw = np.random.default_rng(1)
    covered, false_alarms = 0, 0
    for seed in range(100):
        values = draw.normal(3, 1, 60)
        low, high = bootstrap_interval(lambda numbers, v=values: float(v[numbers].mean()), 60, 200, 0.95, seed)
        covered += low <= 3 <= high
        other = draw.normal(3, 1, 60)
        sign = other - values
        false_alarms += swap_p(lambda mask, s=sign: float(np.where(mask, -s, s).mean()), 60, 100, seed) < 0.05
    assert 86 <= covered <= 100  # 95 expected, standard deviation 2.2
    assert false_alarms <= 13  # 5 expected
    assert mcnemar_p([True] * 9 + [False], [True] * 9 + [False]) == 1
    assert mcnemar_p([True] * 8 + [False] * 2, [False] * 10) == pytest.approx(2 * 0.5**8)


def test_two_models_on_the_same_items() -> None:
    made = task()
    good, bad = ([outcome(value, str(n), int(1 - value), 0) for n in range(40)] for value in (1.0, 0.0))
    found = compare(made, bad, good, PROTOCOL)
    assert (found["difference"], found["verdict"]) == (1.0, "differ") and found["p"] < 1e-9
    assert compare(made, good, good, PROTOCOL)["verdict"] == "no difference shown"
    matthews = task(kind="multiple_choice", choices="c", label="l", normalization="sum", metric="matthews")
    mixed = [outcome(1.0, str(n), n % 2, n % 2) for n in range(40)]
    wrong = [outcome(0.0, str(n), (n + 1) % 2, n % 2) for n in range(40)]
    assert compare(matthews, wrong, mixed, PROTOCOL)["difference"] == pytest.approx(2)
    assert compare(matthews, wrong, mixed, PROTOCOL)["verdict"] == "differ"
    assert (chance(made, good), chance(matthews, mixed)) == (0.5, 0.0)
    with pytest.raises(InputError, match="measured on different items"):
        compare(made, good, bad[:-1], PROTOCOL)


SENTENCE = "number {n} of the red foxes jumped over {n} lazy dogs near the old river bank at {n} in the morning"


def test_planted_leaks_are_all_found_and_clean_scores_are_lower() -> None:
    items = [SENTENCE.format(n=f"x{n}y") for n in range(60)]
    documents = [f"Some page. {item.upper().replace(' ', '  ')}! The end of page." for item in items[:20]] + [
        "nothing of the kind here at all"
    ] * 5
    overlap = find_overlap(items, documents, PROTOCOL)
    assert overlap.ngram_words == 13
    assert overlap.dirty.tolist() == [True] * 20 + [False] * 40
    values = np.array([1.0] * 20 + [0.0, 1.0] * 20)
    found = clean_against_all(overlap, lambda numbers: float(values[numbers].mean()), PROTOCOL)
    assert (found["dirty"], found["clean"], found["verdict"]) == (1.0, 0.5, "inflated")
    assert found["clean"] < found["all"]
    assert found["clean_less_all"]["high"] < 0
    even = clean_against_all(overlap, lambda numbers: float((numbers % 2).mean()), PROTOCOL)
    assert even["verdict"] == "no difference shown"


def test_n_follows_the_items_lengths_and_is_clamped() -> None:
    assert find_overlap(["one two three"] * 3, [], PROTOCOL).ngram_words == 8
    assert find_overlap(["one two three"] * 3, [], PROTOCOL).short_items == 3
    assert find_overlap(["- w" * 10] * 3, [], PROTOCOL).ngram_words == 10  # a mark alone is no word
    assert clean_against_all(find_overlap(["a b"], [], PROTOCOL), lambda _: 0.5, PROTOCOL)["verdict"] == "cannot tell"


def test_the_command_measures_and_compares(
    tmp_path: Path, model: GPT, tokenizer: BytePairTokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    from components.transformer.checkpoint import save_checkpoint
    from flows.evaluate import main

    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", model)
    tokenizer.save(tmp_path / "tokenizer.json")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*CHOICES, CHOICES[0]]), encoding="utf-8")
    (tmp_path / "t.yaml").write_text(task(shots=1).model_dump_json(), encoding="utf-8")
    common = [str(tmp_path / "checkpoint"), "--tokenizer", str(tmp_path / "tokenizer.json"), "--task", str(tmp_path / "t.yaml"), "--out"]
    assert main([*common, str(tmp_path / "one")]) == 0
    assert "1 of all test items repeat another" in capsys.readouterr().out
    assert main([*common, str(tmp_path / "two"), "--against", str(tmp_path / "one")]) == 0
    first, second = (read_json(tmp_path / name / "scores.json") for name in ("one", "two"))
    assert second["tasks"]["t"].pop("against") == {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "verdict": "no difference shown"}
    assert first == second
    assert (tmp_path / "one" / "t.items.jsonl").read_bytes() == (tmp_path / "two" / "t.items.jsonl").read_bytes()
    assert main([*common, str(tmp_path / "two"), "--against", str(tmp_path / "none")]) == 2
    assert "not there or damaged; run flows.evaluate with --out" in capsys.readouterr().err
