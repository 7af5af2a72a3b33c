"""Checkpoints come back bit for bit, and a damaged one is refused in one line."""

from pathlib import Path

import pytest
import torch

from components.artifacts import read_json, sha256_file, write_json, write_manifest
from components.errors import InputError
from components.transformer.checkpoint import load_checkpoint, load_config, save_checkpoint, weights_sha256
from components.transformer.model import GPT
from tests.configs import gpt_config

CONFIG = gpt_config(11, context_length=8, d_model=8, norm_placement="post", dropout=0.1)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, GPT]:
    torch.manual_seed(0)
    model = GPT(CONFIG)
    save_checkpoint(tmp_path, model)
    return tmp_path, model


def test_round_trip(saved: tuple[Path, GPT]) -> None:
    path, model = saved
    loaded = load_checkpoint(path)
    assert load_config(path) == CONFIG
    assert not loaded.training
    assert weights_sha256(loaded) == weights_sha256(model)


def test_the_hash_sees_one_changed_bit(saved: tuple[Path, GPT]) -> None:
    _, model = saved
    before = weights_sha256(model)
    with torch.no_grad():
        model.blocks[0].attention.projection.bias[0] += 1e-7  # type: ignore[union-attr, index, operator]
    assert weights_sha256(model) != before


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_damaged_weights_are_refused(saved: tuple[Path, GPT], damage: str) -> None:
    file = saved[0] / "model.safetensors"
    data = bytearray(file.read_bytes())
    if damage == "remove":
        file.unlink()
    else:
        data[-1] ^= 1
        file.write_bytes(data[:-7] if damage == "truncate" else data)
    with pytest.raises(InputError, match=r"model\.safetensors: missing or corrupt.*dvc repro"):
        load_checkpoint(saved[0])


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not there"):
        load_checkpoint(tmp_path)


def described(saved: tuple[Path, GPT], **changes: object) -> Path:
    """The same weights under another manifest."""
    write_json(saved[0] / "manifest.json", read_json(saved[0] / "manifest.json") | changes)
    return saved[0]


def test_a_newer_schema_is_refused(saved: tuple[Path, GPT]) -> None:
    with pytest.raises(InputError, match="schema version 99, this code reads 1; re-make it"):
        load_checkpoint(described(saved, schema_version=99))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_layers": 2}, "blocks.1.attention.projection.bias is missing, the described model needs"),
        ({"vocab_size": 12}, r"token_embedding.weight is of shape \[11, 8\], the described model needs \[12, 8\]"),
        ({"norm_placement": "pre"}, "final_norm.bias is missing"),
        ({"num_heads": 3}, "describes no model"),
        ({"depth": 3}, "describes no model"),
        ({"num_layers": 10**9}, "14 tensors, but 1000000000 layers are described"),
        ({"d_model": 2 * 10**8}, r"is of shape \[8\], the described model needs \[200000000\]"),
    ],
)
def test_a_checkpoint_of_another_shape_is_refused(saved: tuple[Path, GPT], changes: dict[str, object], message: str) -> None:
    path = described(saved, transformer=CONFIG.model_dump() | changes)
    with pytest.raises(InputError, match=message) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_manifest_that_says_nothing_is_refused(saved: tuple[Path, GPT]) -> None:
    (saved[0] / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match=r"manifest\.json: describes nothing"):
        load_checkpoint(saved[0])
    write_manifest(saved[0], "checkpoint", transformer=CONFIG.model_dump())
    with pytest.raises(InputError, match="missing or corrupt"):
        load_checkpoint(saved[0])


def test_a_pickle_in_place_of_the_weights_is_refused(saved: tuple[Path, GPT]) -> None:
    file = saved[0] / "model.safetensors"
    torch.save(saved[1].state_dict(), file)
    with pytest.raises(InputError, match=r"model\.safetensors: a pickle, which can run any code"):
        load_checkpoint(described(saved, sha256=sha256_file(file)))


def test_a_manifest_from_before_there_were_bands_is_of_a_dense_model(saved: tuple[Path, GPT]) -> None:
    old = {
        key: value for key, value in CONFIG.model_dump().items() if key not in ("attention_pattern", "band_tokens", "token_embedding_std")
    }
    assert load_checkpoint(described(saved, transformer=old)).config == CONFIG
