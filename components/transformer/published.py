"""Weights as others publish them -> a GPT of ours: folders of Hugging Face (GPT-2, GPT-1) and OpenAI's own GPT-1. No pickle is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from components.artifacts import read_json
from components.errors import InputError
from components.transformer.block import NORM_EPSILON
from components.transformer.checkpoint import check_depth, filled, read_weights, refusal_of_pickle
from components.transformer.config import TransformerConfig
from components.transformer.model import GPT, INIT_STD
from components.transformer.names import HUGGING_FACE_PREFIX, hugging_face_names, is_transposed, openai_gpt1_names

NORM_PLACEMENTS: dict[str, Literal["pre", "post"]] = {"gpt2": "pre", "openai-gpt": "post"}
# What our model always does; a key that is absent has the value that ``transformers`` gives it, which is the first here.
FIXED: dict[str, dict[str, tuple[Any, ...]]] = {
    "gpt2": {
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "layer_norm_epsilon": (NORM_EPSILON,),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    },
    "openai-gpt": {"afn": ("gelu",), "layer_norm_epsilon": (NORM_EPSILON,)},  # its "gelu" is the tanh form
}
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
GPT1_HEAD_WIDTH = 64  # GPT-1 section 4.1: 768 over 12 heads; the released shapes do not tell
GPT1_DROPOUT = 0.1  # GPT-1 section 4.1


def load_published(source: Path) -> GPT:
    """The model of a folder with config.json and *.safetensors (Hugging Face), or params_shapes.json and params_*.npy (OpenAI's GPT-1).

    An output layer that is not tied to the embedding, which no GPT paper has, becomes the rows V to 2 V of the tied
    table: the model then has 2 V ids, reads the first half and answers with the second.

    Raises:
        InputError: neither of these; a pickle; a model that computes something else than ours; other shapes than described.
    """
    if (source / "config.json").exists():
        return _from_hugging_face(source)
    if (source / "params_shapes.json").exists():
        return _from_openai_gpt1(source)
    _refuse_pickles(source)
    raise InputError(f"{source}: no published model; a folder with config.json and model.safetensors, or with params_shapes.json, is one")


def _from_hugging_face(source: Path) -> GPT:
    weights = _read_safetensors(source)
    config = _config(source / "config.json")
    check_depth(config, weights, source)
    names = {theirs: ours for ours, theirs in hugging_face_names(config).items()}
    published = {name.removeprefix(HUGGING_FACE_PREFIX): tensor for name, tensor in weights.items()}
    tensors = {
        names.get(name, name): tensor for name, tensor in published.items() if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    head = tensors.pop("lm_head.weight", None)
    embedding = tensors.get("token_embedding.weight")
    if head is not None and embedding is not None and not torch.equal(head, embedding):
        tensors["token_embedding.weight"] = torch.cat([embedding, head])
        config = config.model_copy(update={"vocab_size": 2 * config.vocab_size})
    return filled(config, tensors if _is_torch_layout(config, tensors) else _transposed(tensors), source)


def _config(file: Path) -> TransformerConfig:
    """The shape that config.json describes."""
    published = read_json(file)
    if not isinstance(published, dict):
        raise InputError(f"{file}: describes no model; get it again")
    kind = published.get("model_type")
    if not isinstance(kind, str) or kind not in NORM_PLACEMENTS:
        raise InputError(f"{file}: model_type is {kind!r}; {' and '.join(NORM_PLACEMENTS)} can be read")
    for key, allowed in FIXED[kind].items():
        if published.get(key, allowed[0]) not in allowed:
            raise InputError(f"{file}: {key} is {published[key]!r}, our GPT has {allowed[0]!r}; such a model cannot be read")
    width = published.get("n_embd")
    if published.get("n_inner") not in (None, 4 * width if isinstance(width, int) else None):
        raise InputError(f"{file}: n_inner is {published['n_inner']!r}, our GPT has 4 n_embd; such a model cannot be read")
    keys = {
        "context_length": "n_positions",
        "num_layers": "n_layer",
        "d_model": "n_embd",
        "num_heads": "n_head",
        "vocab_size": "vocab_size",
    }
    shape = {ours: published[theirs] for ours, theirs in keys.items() if theirs in published}
    fixed = {
        "norm_placement": NORM_PLACEMENTS[kind],
        "dropout": published.get("resid_pdrop", 0.1),
        "attention_pattern": "dense",
        "band_tokens": None,
        "token_embedding_std": INIT_STD,
    }
    return _validated(shape | fixed, file)


def _validated(shape: Mapping[str, Any], file: Path) -> TransformerConfig:
    try:
        return TransformerConfig.model_validate(shape)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{file}: {'.'.join(map(str, first['loc']))} {first['msg']}; no GPT has this shape") from None


def _read_safetensors(source: Path) -> dict[str, Tensor]:
    """All tensors of the folder, however many files they are spread over."""
    files = sorted(source.glob("*.safetensors"))
    if not files:
        _refuse_pickles(source)
        raise InputError(f"{source}: holds no *.safetensors; give a folder with the weights")
    return {name: tensor for file in files for name, tensor in read_weights(file).items()}


def _refuse_pickles(source: Path) -> None:
    pickles = [file for file in ([source] if source.is_file() else sorted(source.glob("*"))) if file.suffix in PICKLE_SUFFIXES]
    if pickles:
        raise InputError(refusal_of_pickle(pickles[0]))


def _is_torch_layout(config: TransformerConfig, tensors: Mapping[str, Tensor]) -> bool:
    """Whether linear layers are kept as torch keeps them, [outputs, inputs], as minGPT does; told by one that is not square."""
    weight = tensors.get("blocks.0.attention.query_key_value.weight")
    return weight is not None and weight.shape == (3 * config.d_model, config.d_model)


def _transposed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.t() if is_transposed(name) and tensor.ndim == 2 else tensor for name, tensor in tensors.items()}


def _from_openai_gpt1(source: Path) -> GPT:
    """params_shapes.json and the files params_0.npy ..., which hold all arrays end to end."""
    file = source / "params_shapes.json"
    shapes = read_json(file)
    config = openai_gpt1_config(shapes, file)
    parts = sorted(source.glob("params_*.npy"), key=lambda path: int(path.stem.removeprefix("params_")))
    row = np.concatenate([_read_floats(path) for path in parts]) if parts else np.empty(0, np.float32)
    sizes = [int(np.prod(shape)) for shape in shapes]
    if len(row) != sum(sizes):
        raise InputError(f"{source}/params_*.npy: {len(row)} numbers, params_shapes.json describes {sum(sizes)}; get the missing files")
    arrays = [array.reshape(shape) for array, shape in zip(np.split(row, np.cumsum(sizes)[:-1]), shapes, strict=True)]
    names = [ours for _, ours in openai_gpt1_names(config.num_layers)]
    tensors = {name: torch.from_numpy(array if array.ndim < 3 else array[0]) for name, array in zip(names, arrays, strict=True)}
    return filled(config, _transposed(tensors), source)


def openai_gpt1_config(shapes: list[list[int]], file: Path) -> TransformerConfig:
    """The model whose arrays have these shapes, in the order of the release; InputError where no GPT-1 has them."""
    num_layers, rest = divmod(len(shapes) - 2, len(openai_gpt1_names(1)) - 2)
    if num_layers < 1 or rest or len(shapes[0]) != 2 or len(shapes[1]) != 2:
        raise InputError(f"{file}: {len(shapes)} shapes are not those of a GPT-1; get the released file")
    (context_length, width), (vocab_size, _) = shapes[:2]
    shape = {"context_length": context_length, "num_layers": num_layers, "d_model": width, "num_heads": width // GPT1_HEAD_WIDTH}
    fixed = {
        "norm_placement": "post",
        "dropout": GPT1_DROPOUT,
        "attention_pattern": "dense",
        "band_tokens": None,
        "token_embedding_std": INIT_STD,
    }
    return _validated(shape | fixed | {"vocab_size": vocab_size}, file)


def _read_floats(path: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise InputError(f"{path}: not a plain array ({str(error).splitlines()[0]}); get it again") from None
    return array.ravel()
