"""Which documents a step read: what the look-up says is what the loader gave, and the shares of the mixture hold in the row."""

import json
from pathlib import Path

import numpy as np
import pytest

from components.artifacts import TokenShards, write_json, write_manifest
from components.tokenization.shards import StreamDocument, write_stream
from components.training.data_order import DataOrder, Steps
from components.training.documents import RUN_FILE, DocumentIndex, documents_of_step
from components.training.pretrain import PretrainConfig, run_record
from flows import cells, step
from tests.configs import ONE_CPU, model_config, training_config

SHARES = {"a": 0.25, "b": 0.75}


@pytest.fixture
def run(tmp_path: Path) -> tuple[TokenShards, Path]:
    """A checkpoint's folder but for its weights, and its tokens: two sources in turn, one document of a to three of b."""
    rng = np.random.default_rng(0)
    documents = [
        StreamDocument(f"{source}:{i}.{k}", source, 0, 1, [0, *rng.integers(1, 99, 29).tolist()])
        for i in range(400)
        for k, source in enumerate("abbb")
    ]
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    splits = {split: write_stream(tokens / split, documents, 7000) for split in ("train", "held_out")}
    write_manifest(tokens, "token_shards", vocab_size=99, splits=splits)
    training = training_config(batch_tokens=32, train_tokens=32_000, shuffle_block_windows=1500)
    shards, out = TokenShards(tokens), tmp_path / "out"
    write_json(out / RUN_FILE, run_record(shards, PretrainConfig(model_config(context_length=8), training, ONE_CPU), 0))
    return shards, out


def test_the_answer_is_what_the_loader_gave(run: tuple[TokenShards, Path]) -> None:
    shards, out = run
    stream = shards.stream("train")
    for number in (1, 500, 1000):
        order, parts = step.look_up(out, shards.path, number)
        batch = Steps(stream, order)[number - 1]
        assert np.concatenate([stream.read(part.start, part.stop) for part in parts]).tolist() == batch.flatten().tolist()
        rows = {row["id"]: row for row in stream.index().to_pylist()}
        assert all(rows[p.id]["start"] + p.offset == p.start < p.stop <= rows[p.id]["start"] + 30 for p in parts)
        assert {part.sequence for part in parts} == {0, 1, 2, 3}


def test_every_block_of_the_row_holds_the_shares_of_the_mixture(run: tuple[TokenShards, Path]) -> None:
    """Within four standard errors of as many windows drawn at random."""
    shards, _ = run
    stream = shards.stream("train")
    training = training_config(batch_tokens=8 * 200, train_tokens=8 * 200 * 29, shuffle_block_windows=1500)
    order, index = DataOrder(stream.num_tokens, 8, training), DocumentIndex(stream)
    for number in range(1, 30):
        sizes = {"a": 0, "b": 0}
        for part in documents_of_step(index, order, number):
            sizes[part.source] += part.stop - part.start
        assert sizes["a"] / sum(sizes.values()) == pytest.approx(SHARES["a"], abs=4 * (0.25 * 0.75 / 200) ** 0.5)


def test_command(
    run: tuple[TokenShards, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards, out = run
    (tmp_path / "dvc.lock").write_text(
        f"stages:\n  train@a-0:\n    cmd: python -m m --out {out} --apply x --apply y\n  other:\n    cmd: python -m m\n"
    )
    monkeypatch.setattr(cells.options, "__defaults__", (tmp_path / "dvc.lock",))
    common = ["--tokens", str(shards.path), "--step"]
    assert step.main(["train@a-0", *common, "7"]) == 0
    shown = capsys.readouterr().out
    assert "Step 7 of 1000: tokens 192 to 223 of the run, 32 of them." in shown and "sources: " in shown
    assert step.main([str(out), *common, "7", "--json"]) == 0
    assert all(part["id"] in shown for part in json.loads(capsys.readouterr().out))
    for arguments, message in (
        (["train@b-0", *common, "7"], "no cell 'train@b-0' has run; did you mean train@a-0"),
        (["other", *common, "7"], "trains no model"),
        ([str(out), *common, "1001"], "step 1001 is not in the run, which has steps 1 to 1000"),
        ([str(tmp_path), *common, "1"], "run.json: not there"),
    ):
        assert step.main(arguments) == 2
        assert message in capsys.readouterr().err


def test_other_tokens_than_those_trained_on_are_refused(run: tuple[TokenShards, Path], capsys: pytest.CaptureFixture[str]) -> None:
    shards, out = run
    write_manifest(shards.path, "token_shards", vocab_size=198, splits=shards.manifest["splits"])
    assert step.main([str(out), "--step", "1", "--tokens", str(shards.path)]) == 2
    assert "was not trained on the tokens in" in capsys.readouterr().err
