"""Tokens are checked against the vocabulary where shards are opened, before a model sees any."""

from pathlib import Path

import pytest

from components.artifacts import TokenShards, write_manifest
from components.errors import InputError
from tests.tiny_tokens import VOCAB_SIZE, write_tiny_tokens


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_a_token_outside_the_vocabulary_is_refused(tmp_path: Path, split: str) -> None:
    shards = write_tiny_tokens(tmp_path / "tokens")
    largest = int(max(shards.stream(split).read(0, shards.stream(split).num_tokens)))
    assert largest == VOCAB_SIZE - 1
    write_manifest(shards.path, "token_shards", vocab_size=largest, splits=shards.manifest["splits"])
    with pytest.raises(
        InputError, match=rf"00000.bin: holds token {largest}, the vocabulary ends at {largest - 1}; tokenize again"
    ) as caught:
        TokenShards(shards.path).stream(split)
    assert "\n" not in str(caught.value)
