"""A GPT small enough to be trained within a test, by plain steps of AdamW."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence

from components.transformer.checkpoint import save_checkpoint
from components.transformer.model import GPT
from tests.configs import gpt_config

BATCH = 16


def one_thread() -> Iterator[None]:
    """With two, each step waits for the slower one: many times slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_gpt(vocab_size: int, context_length: int, seed: int = 0) -> GPT:
    """Two layers of 64, the same weights each time."""
    torch.manual_seed(seed)
    return GPT(gpt_config(vocab_size, context_length=context_length, num_layers=2, d_model=64))


def save_trained(folder: Path, model: GPT, sequences_T: Sequence[Tensor], steps: int) -> None:
    """Train on the sequences, each from its own start, over and over; write the checkpoint."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.98), weight_decay=0.0)
    draw = torch.Generator().manual_seed(0)
    for _ in range(steps):
        drawn = torch.randint(len(sequences_T), (BATCH,), generator=draw).tolist()
        tokens_BT = pad_sequence([sequences_T[number] for number in drawn], batch_first=True, padding_value=-100)
        logits_BTV = model(tokens_BT[:, :-1].clamp(min=0))
        loss = cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    folder.mkdir(parents=True)
    save_checkpoint(folder, model)
