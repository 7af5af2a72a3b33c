"""A trained GPT on disk: ``model.safetensors`` and a manifest with its shape and hash. No pickle anywhere."""

import errno
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from components.artifacts import read_manifest, sha256_file, write_manifest
from components.errors import InputError
from components.transformer.config import TransformerConfig
from components.transformer.model import GPT, INIT_STD

WEIGHTS_FILE = "model.safetensors"
PICKLE_SIGNATURES = (b"PK\x03\x04", b"\x80")  # torch.save's archive; a bare pickle of protocol 2 or later
WEIGHT_TYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)  # others are quantised: their numbers mean nothing alone
# Manifests written before there was a choice lack these keys: their models are dense, and started as those of the papers.
ONLY_CHOICE = {"attention_pattern": "dense", "band_tokens": None, "token_embedding_std": INIT_STD}


def save_checkpoint(path: Path, model: GPT) -> None:
    """Write the weights and the manifest into the existing folder ``path``."""
    save_weights(path / WEIGHTS_FILE, model.state_dict())
    write_manifest(path, "checkpoint", transformer=model.config.model_dump(), sha256=sha256_file(path / WEIGHTS_FILE))


def save_weights(file: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors; a full disk is the OSError that it is everywhere else."""
    try:
        save_file(dict(tensors), file, metadata)
    except SafetensorError as error:
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file)) from None


def load_config(path: Path) -> TransformerConfig:
    """Shape of the checkpoint in folder ``path``; InputError when the folder holds none."""
    try:
        return TransformerConfig.model_validate(ONLY_CHOICE | read_manifest(path, "checkpoint")["transformer"])
    except (KeyError, TypeError, ValidationError):
        raise InputError(f"{path}/manifest.json: describes no model; delete {path} and run dvc repro") from None


def load_checkpoint(path: Path) -> GPT:
    """The model of folder ``path`` in evaluation mode; a missing, truncated or corrupt file is an InputError."""
    config, file = load_config(path), path / WEIGHTS_FILE
    if not file.exists() or sha256_file(file) != read_manifest(path, "checkpoint").get("sha256"):
        raise InputError(f"{file}: missing or corrupt (sha256 differs); delete {path} and run dvc repro to train it again")
    return filled(config, read_weights(file), file)


def read_weights(file: Path) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file; InputError when it is not there or not such a file, a pickle above all."""
    if not file.is_file():
        raise InputError(f"{file}: not there; give a folder that holds it")
    try:
        return load_file(file)
    except SafetensorError as error:
        with file.open("rb") as opened:
            if opened.read(4).startswith(PICKLE_SIGNATURES):
                raise InputError(refusal_of_pickle(file)) from None
        raise InputError(f"{file}: not safetensors, or damaged ({' '.join(str(error).split())}); get or make it again") from None


def refusal_of_pickle(file: Path) -> str:
    """Why a pickle is not read, and what to do."""
    return f"{file}: a pickle, which can run any code when it is read; save the weights as safetensors and give those"


def filled(config: TransformerConfig, tensors: Mapping[str, torch.Tensor], origin: Path) -> GPT:
    """The model with these weights, in evaluation mode.

    Raises:
        InputError: names the first tensor that is missing, unknown, of another shape or no plain float; no model has been built by then.
    """
    check_depth(config, tensors, origin)
    with torch.device("meta"):
        needed = GPT(config).state_dict()
    for name in sorted(needed.keys() | tensors.keys()):
        found, wanted = (list(of[name].shape) if name in of else None for of in (tensors, needed))
        if found != wanted:
            there = "missing" if found is None else f"of shape {found}"
            raise InputError(f"{origin}: {name} is {there}, the described model {'has none' if wanted is None else f'needs {wanted}'}")
        if tensors[name].dtype not in WEIGHT_TYPES:
            raise InputError(f"{origin}: {name} is of type {tensors[name].dtype}; save the weights as float32, bfloat16 or float16")
    model = GPT(config)
    model.load_state_dict(tensors)
    return model.eval()


def check_depth(config: TransformerConfig, tensors: Mapping[str, torch.Tensor], origin: Path) -> None:
    """Refuse a number of layers that so few tensors cannot be, before anything is listed for each of them."""
    if config.num_layers > len(tensors):
        raise InputError(f"{origin}: {len(tensors)} tensors, but {config.num_layers} layers are described; get or make it again")


def weights_sha256(model: nn.Module) -> str:
    """Hash over every parameter and buffer, by name: changes when any bit of any of them does."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().to("cpu", copy=False).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
