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
from components.transformer.model import GPT

WEIGHTS_FILE = "model.safetensors"


def save_checkpoint(path: Path, model: GPT) -> None:
    """Write the weights and the manifest into the existing folder ``path``."""
    save_weights(path / WEIGHTS_FILE, model.state_dict())
    write_manifest(path, "checkpoint", transformer=model.config.model_dump(), sha256=sha256_file(path / WEIGHTS_FILE))


def save_weights(file: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors as safetensors; a full disk is the OSError that it is everywhere else."""
    try:
        save_file(dict(tensors), file)
    except SafetensorError as error:
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file)) from None


def load_config(path: Path) -> TransformerConfig:
    """Shape of the checkpoint in folder ``path``; InputError when the folder holds none."""
    try:
        return TransformerConfig.model_validate(read_manifest(path, "checkpoint")["transformer"])
    except (KeyError, ValidationError):
        raise InputError(f"{path}/manifest.json: describes no model; delete {path} and run dvc repro") from None


def load_checkpoint(path: Path) -> GPT:
    """The model of folder ``path`` in evaluation mode; a missing, truncated or corrupt file is an InputError."""
    config, file = load_config(path), path / WEIGHTS_FILE
    if not file.exists() or sha256_file(file) != read_manifest(path, "checkpoint")["sha256"]:
        raise InputError(f"{file}: missing or corrupt (sha256 differs); delete {path} and run dvc repro to train it again")
    model = GPT(config)
    try:
        model.load_state_dict(load_file(file))
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"{file}: holds other weights than its manifest says ({str(error).splitlines()[0]})") from None
    return model.eval()


def weights_sha256(model: nn.Module) -> str:
    """Hash over every parameter and buffer, by name: changes when any bit of any of them does."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().to("cpu", copy=False).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
