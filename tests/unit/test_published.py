"""Weights in and out: `transformers` and lm-evaluation-harness as the judges, and every kind of folder that is refused."""

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from components.artifacts import read_json, write_json
from components.errors import InputError
from components.tokenization.byte_pair import BytePairTokenizer
from components.transformer.checkpoint import load_checkpoint, save_checkpoint, weights_sha256
from components.transformer.export import export_checkpoint
from components.transformer.model import GPT
from components.transformer.names import openai_gpt1_names
from components.transformer.presets import PRESETS
from components.transformer.published import load_published, openai_gpt1_config
from flows import export, import_weights
from tests.configs import gpt_config

SHARED = Path("../shared/data")
TEXTS = ["the quick brown fox jumps over the lazy dog", "don't say it's 2020!  it is", "naïve café — and the rest of it"] * 4
SHAPE = {"num_layers": 2, "d_model": 24, "num_heads": 3, "dropout": 0.1}


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    BytePairTokenizer.train(iter(TEXTS), 280).save(path)
    return path


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    module = pytest.importorskip("transformers")
    module.utils.logging.disable_progress_bar()
    return module


def random_model(norm_placement: str, **changes: object) -> GPT:
    """Every weight, bias and gain drawn at random, so that none is where it is by luck."""
    torch.manual_seed(3)
    model = GPT(gpt_config(**SHAPE | {"norm_placement": norm_placement, "vocab_size": 280} | changes))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def saved(model: GPT, path: Path) -> Path:
    path.mkdir()
    save_checkpoint(path, model)
    return path


@pytest.mark.parametrize(("norm_placement", "name"), [("pre", "GPT2LMHeadModel"), ("post", "OpenAIGPTLMHeadModel")])
def test_an_exported_checkpoint_is_the_same_model_in_transformers(
    transformers: Any, tmp_path: Path, tokenizer_file: Path, norm_placement: str, name: str
) -> None:
    model = random_model(norm_placement)
    assert export.main([str(saved(model, tmp_path / "own")), str(tmp_path / "out"), "--tokenizer", str(tokenizer_file)]) == 0
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    assert type(theirs).__name__ == name
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in model.parameters())
    tokens = torch.randint(0, 280, (3, 16))
    with torch.no_grad():
        torch.testing.assert_close(theirs(tokens).logits, model(tokens), rtol=0, atol=1e-4)
    tokenizer, ours = transformers.AutoTokenizer.from_pretrained(tmp_path / "out"), BytePairTokenizer.load(tokenizer_file)
    assert tokenizer(TEXTS).input_ids == ours.encode_batch(TEXTS)
    assert [tokenizer.decode(ids) for ids in ours.encode_batch(TEXTS)] == TEXTS
    assert tokenizer.eos_token_id == theirs.config.eos_token_id == ours.end_of_text
    back = load_published(tmp_path / "out")
    assert back.config == model.config
    assert weights_sha256(back) == weights_sha256(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_checkpoint_of_transformers_gives_the_same_logits(transformers: Any, tmp_path: Path, dtype: torch.dtype) -> None:
    torch.manual_seed(5)
    config = transformers.GPT2Config(vocab_size=101, n_positions=20, n_embd=32, n_layer=3, n_head=4)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    theirs = theirs.to(dtype)
    theirs.save_pretrained(tmp_path / "hf", max_shard_size="60KB")
    assert len(list((tmp_path / "hf").glob("*.safetensors"))) > 1  # spread over files, as large ones are
    assert import_weights.main([str(tmp_path / "hf"), str(tmp_path / "own")]) == 0
    ours = load_checkpoint(tmp_path / "own")
    assert (ours.config.norm_placement, ours.config.num_heads, ours.config.dropout) == ("pre", 4, 0.1)
    tokens = torch.randint(0, 101, (2, 20))
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), theirs.float()(tokens).logits, rtol=0, atol=1e-4)


def test_lm_evaluation_harness_scores_an_exported_checkpoint(transformers: Any, tmp_path: Path, tokenizer_file: Path) -> None:
    pytest.importorskip("lm_eval")
    harness = pytest.importorskip("lm_eval.models.huggingface", exc_type=ImportError)
    instance = pytest.importorskip("lm_eval.api.instance").Instance
    model, tokenizer = random_model("pre"), BytePairTokenizer.load(tokenizer_file)
    export_checkpoint(saved(model, tmp_path / "own"), tokenizer_file, tmp_path / "out")
    judge = harness.HFLM(pretrained=str(tmp_path / "out"), device="cpu", batch_size=2)
    pairs = [("the quick", " brown fox"), ("it's", " 2020!")]
    scores = judge.loglikelihood([instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)], disable_tqdm=True)
    for (prompt, answer), (score, _) in zip(pairs, scores, strict=True):
        read, wanted = tokenizer.encode(prompt), tokenizer.encode(answer)
        with torch.no_grad():
            logprobs = model(torch.tensor([read + wanted]))[0].log_softmax(-1)
        expected = sum(float(logprobs[len(read) - 1 + place, token]) for place, token in enumerate(wanted))
        assert score == pytest.approx(expected, abs=1e-4)


def released_gpt1(model: GPT, path: Path) -> Path:
    """As OpenAI released GPT-1: all arrays end to end in a few files, and their shapes."""
    path.mkdir()
    state, arrays = model.state_dict(), []
    for theirs, ours in openai_gpt1_names(model.config.num_layers):
        array = state[ours].numpy()
        arrays.append(array.T[None] if theirs.endswith("/w:0") else array)
    for number, part in enumerate(np.array_split(np.concatenate([array.ravel() for array in arrays]), 11)):
        np.save(path / f"params_{number}.npy", part)
    write_json(path / "params_shapes.json", [list(array.shape) for array in arrays])
    return path


def test_openai_gpt1_as_released_comes_in(tmp_path: Path) -> None:
    model = random_model("post", d_model=128, num_heads=2)
    loaded = load_published(released_gpt1(model, tmp_path / "gpt1"))
    assert loaded.config == model.config
    assert weights_sha256(loaded) == weights_sha256(model)


@pytest.mark.shared_data
def test_openai_gpt1_names_and_shapes_map_one_to_one() -> None:
    folder = SHARED / "tokenizer/gpt1-bpe-40000"
    if not folder.exists():
        pytest.skip(f"{folder} is not there")
    shapes, names = read_json(folder / "params_shapes.json"), read_json(folder / "parameters_names.json")
    config = openai_gpt1_config(shapes, folder / "params_shapes.json")
    assert config == PRESETS["gpt1"].transformer
    pairs = openai_gpt1_names(config.num_layers)
    head = ["model/clf/w:0", "model/clf/b:0"]  # of fine-tuning; not in the shapes
    assert [*dict.fromkeys(theirs for theirs, _ in pairs), *head] == names
    with torch.device("meta"):
        ours = GPT(config).state_dict()
    assert sorted(name for _, name in pairs) == sorted(ours)
    for (theirs, name), shape in zip(pairs, shapes, strict=True):
        assert list(ours[name].shape) == (shape[:0:-1] if theirs.endswith("/w:0") else shape)
    assert sum(int(np.prod(shape)) for shape in shapes) == PRESETS["gpt1"].parameters


@pytest.mark.shared_data
def test_a_small_trained_model_sorts(tmp_path: Path) -> None:
    """minGPT's demonstration: six letters of three kinds in, the same sorted out, one at a time. Its output layer is not tied."""
    file = SHARED / "weights/gpt-nano-sort-mingpt/gpt-nano-sort-model.json"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    stored = json.loads(file.read_text(encoding="utf-8"))
    config = {"model_type": "gpt2", "n_positions": stored["config"]["block_size"]}
    config |= {key: stored["config"][key] for key in ("n_layer", "n_head", "n_embd", "vocab_size")}
    tensors = {
        name: torch.frombuffer(bytearray(base64.b64decode(entry["data"])), dtype=torch.float32).reshape(entry["shape"])
        for name, entry in stored.items()
        if name != "config"
    }
    write_json(tmp_path / "config.json", config)
    save_file(tensors, tmp_path / "model.safetensors")
    model = load_published(tmp_path)
    assert model.config.vocab_size == 2 * 3
    letters = torch.cartesian_prod(*[torch.arange(3)] * 6)  # all 729
    tokens = letters
    for _ in range(6):
        with torch.no_grad():
            tokens = torch.cat([tokens, model(tokens)[:, -1, 3:].argmax(-1, keepdim=True)], dim=1)
    right = (tokens[:, 6:] == letters.sort(dim=1).values).all(dim=1).float().mean()
    assert float(right) > 0.99


@pytest.fixture
def exported(tmp_path: Path, tokenizer_file: Path) -> Iterator[Path]:
    export_checkpoint(saved(random_model("pre"), tmp_path / "own"), tokenizer_file, tmp_path / "out")
    yield tmp_path / "out"


def change_config(folder: Path, **changes: object) -> None:
    write_json(folder / "config.json", read_json(folder / "config.json") | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, "model_type is 'llama'; gpt2 and openai-gpt can be read"),
        ({"activation_function": "relu"}, "activation_function is 'relu', our GPT has 'gelu_new'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
        ({"n_inner": 50}, "n_inner is 50"),
        ({"n_head": 7}, "d_model 24 is not divisible by num_heads 7"),
        ({"n_embd": 48, "n_head": 3}, r"blocks.0.attention.projection.bias is of shape \[24\], the described model needs \[48\]"),
        ({"n_layer": 3}, "blocks.2.attention.projection.bias is missing"),
        ({"n_layer": 1}, "h.1.attn.c_attn.bias is of shape .* the described model has none"),
        ({"n_positions": "16"}, "context_length Input should be a valid integer"),
        ({"n_layer": 10**9}, "28 tensors, but 1000000000 layers are described"),
        ({"n_embd": 3 * 10**8}, r"is of shape \[24\], the described model needs \[300000000\]"),
        ({"n_embd": {}}, "d_model Input should be a valid integer"),
        ({"model_type": ["gpt2"]}, r"model_type is \['gpt2'\]"),
        ({"resid_pdrop": None}, "dropout Input should be a valid number"),
    ],
)
def test_a_model_that_is_not_ours_is_refused(exported: Path, changes: dict[str, object], message: str) -> None:
    change_config(exported, **changes)
    with pytest.raises(InputError, match=message) as caught:
        load_published(exported)
    assert "\n" not in str(caught.value)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def pickled_beside_an_empty_config(folder: Path) -> None:
    pickled(folder)
    (folder / "config.json").write_text("{}")


def quantised(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({name: (100 * tensor).to(torch.int8) for name, tensor in tensors.items()}, folder / "model.safetensors")


def absurd_header(folder: Path) -> None:
    header = json.dumps({"transformer.wte.weight": {"dtype": "F32", "shape": [10**12, 10**12], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"0000")


def a_folder(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()


def pickled_under_a_false_name(folder: Path) -> None:
    torch.save({"wte.weight": torch.ones(2)}, folder / "model.safetensors")


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def renamed(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.spare"] = tensors.pop("transformer.ln_f.bias")
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (pickled, r"pytorch_model.bin: a pickle, which can run any code.*save the weights as safetensors"),
        (pickled_beside_an_empty_config, r"pytorch_model.bin: a pickle, which can run any code"),
        (quantised, r"is of type torch.int8; save the weights as float32"),
        (absurd_header, r"model.safetensors: not safetensors, or damaged \(Error while deserializing header: overflow"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 64), r"header too large"),
        (a_folder, "model.safetensors: not there"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json: describes no model"),
        (pickled_under_a_false_name, r"model.safetensors: a pickle, which can run any code"),
        (cut, r"model.safetensors: not safetensors, or damaged"),
        (renamed, "final_norm.bias is missing"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"holds no \*.safetensors"),
        (lambda folder: (folder / "config.json").unlink(), "no published model; a folder with config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(exported: Path, tmp_path: Path, capsys: Any, damage: Any, message: str) -> None:
    damage(exported)
    with pytest.raises(InputError, match=message):
        load_published(exported)
    assert import_weights.main([str(exported), str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_pickle_given_by_name_is_refused(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model.pt: a pickle"):
        load_published(tmp_path / "model.pt")


def test_damaged_gpt1_releases_are_refused(tmp_path: Path) -> None:
    folder = released_gpt1(random_model("post", d_model=64, num_heads=1), tmp_path / "gpt1")
    whole = shutil.copytree(folder, tmp_path / "pickled")
    np.save(whole / "params_3.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"params_3.npy: not a plain array"):
        load_published(whole)
    (folder / "params_10.npy").unlink()
    with pytest.raises(InputError, match=r"params_\*.npy: .* numbers, params_shapes.json describes"):
        load_published(folder)
    write_json(folder / "params_shapes.json", [[16, 64], [280, 64]])
    with pytest.raises(InputError, match="2 shapes are not those of a GPT-1"):
        load_published(folder)


def test_what_transformers_cannot_hold_is_not_exported(tmp_path: Path, tokenizer_file: Path, capsys: Any) -> None:
    banded = saved(random_model("pre", attention_pattern="alternating_banded", band_tokens=4), tmp_path / "banded")
    small = saved(random_model("pre", vocab_size=100), tmp_path / "small")
    good = saved(random_model("pre"), tmp_path / "good")
    missing = str(tmp_path / "none.json")
    for checkpoint, tokenizer, message in [
        (banded, str(tokenizer_file), "alternating_banded has no equal in transformers"),
        (small, str(tokenizer_file), "knows 280 tokens, the model of .* 100"),
        (good, missing, "none.json: not there"),
        (tmp_path / "nowhere", str(tokenizer_file), "manifest.json: not there"),
    ]:
        assert export.main([str(checkpoint), str(tmp_path / "out"), "--tokenizer", tokenizer]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert re.search(message, error)
        assert not (tmp_path / "out").exists()
