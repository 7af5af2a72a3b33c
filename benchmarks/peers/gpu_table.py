"""Our three published sizes on one GPU: tokens/s, share of the measured peak, memory and spread, into benchmarks/RESULTS.md.

MFU = tokens/s x FLOP/token / P. FLOP/token = 3 (2 (12 L d^2 + V d) + 4 L T d): every matrix product of forward and backward,
attention counted over the full T x T square (components/transformer/accounting.py). P is measured in the same process: the
best rate of an 8192 x 8192 product in bfloat16. The published aims use 989 TFLOP/s, the data sheet's; both are printed.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers.training_steps import Shape

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS_PAGE = Path(__file__).parents[1] / "RESULTS.md"
HEADING = "## Pre-training on one GPU (python -m benchmarks.train --device cuda)"
H100_DATA_SHEET_FLOPS = 989e12
PADDED_VOCAB = 50304  # 50,257 up to a multiple of 128, as nanoGPT and llm.c pad it
WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Size:
    """A published size, how it is cut into micro-batches, and the tokens/s to pass on an H100."""

    shape: Shape
    micro_batches: int
    aim_tokens_per_second: float


def _shape(name: str, layers: int, width: int, heads: int, sequences: int) -> Shape:
    return Shape(name, layers, width, heads, PADDED_VOCAB, context_length=1024, batch_sequences=sequences)


SIZES = [
    Size(_shape("124M", 12, 768, 12, 32), 16, 468e3),
    Size(_shape("350M", 24, 1024, 16, 16), 32, 188e3),
    Size(_shape("1.5B", 48, 1600, 25, 8), 64, 46.8e3),
]


@dataclass(frozen=True)
class Measured:
    """Of one size: seconds of each step and the most memory that was taken."""

    size: Size
    seconds: tuple[float, ...]
    peak_bytes: int

    @property
    def tokens_per_second(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile over the steps."""
        tokens = self.size.shape.batch_tokens * self.size.micro_batches
        slowest_first = sorted(tokens / seconds for seconds in self.seconds)
        last = len(slowest_first) - 1
        low, middle, high = (slowest_first[round(last * share)] for share in (0.25, 0.5, 0.75))
        return low, middle, high


def main(quick: bool) -> int:
    """Measure, print and write; exit status 1 where a size misses its aim."""
    import torch

    from benchmarks.train import matmul_peak

    if not torch.cuda.is_available():
        sys.exit("error: --device cuda: torch sees no GPU; run without --device on a CPU")
    torch.set_float32_matmul_precision("high")
    peak = matmul_peak(torch.bfloat16, size=8192, repeats=20, device="cuda")
    measured = [measure(size, "cuda", steps=5 if quick else 20, compiled=True) for size in SIZES]
    device = f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    section = table(measured, peak, device, _commit())
    print(section)
    write_section(RESULTS_PAGE, section)
    return 0 if all(entry.tokens_per_second[1] >= entry.size.aim_tokens_per_second for entry in measured) else 1


def measure(size: Size, device: str, steps: int, compiled: bool) -> Measured:
    """Whole optimiser steps with accumulation, bfloat16 autocast over float32 weights, clip and fused AdamW."""
    import torch

    torch.manual_seed(0)
    step = _build_step(size, device, compiled)
    for _ in range(WARM_UP_STEPS):
        step()
    is_cuda = device == "cuda"
    if is_cuda:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()  # returns a number, so it waits for the device
        seconds.append(time.perf_counter() - start)
    peak_bytes = torch.cuda.max_memory_allocated() if is_cuda else 0
    del step
    torch.compiler.reset()  # what was compiled holds the model
    if is_cuda:
        torch.cuda.empty_cache()
    return Measured(size, tuple(seconds), peak_bytes)


def _build_step(size: Size, device: str, compiled: bool) -> "Callable[[], float]":
    import torch

    from benchmarks.peers import training_steps as settings
    from components.training.lit_model import next_token_loss
    from components.training.optimizer import build_adamw
    from components.transformer.model import GPT

    with torch.device(device):
        model = GPT(size.shape.config())
    optimizer = build_adamw(model, settings.LEARNING_RATE, settings.WEIGHT_DECAY, settings.BETA1, settings.BETA2, settings.EPSILON)
    loss = torch.compile(next_token_loss, dynamic=False) if compiled else next_token_loss
    tokens = size.shape.tokens().to(device)

    def step() -> float:
        total = torch.zeros((), device=device)
        for _ in range(size.micro_batches):
            with torch.autocast(device, torch.bfloat16):
                value = loss(model, tokens) / size.micro_batches
            value.backward()  # type: ignore[no-untyped-call]
            total += value.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(total)

    return step


def table(measured: list[Measured], peak: float, device: str, commit: str) -> str:
    """The section of RESULTS.md, one row a size."""
    from components.transformer.accounting import flops_per_token

    rows = []
    for entry in measured:
        shape = entry.size.shape
        low, middle, high = entry.tokens_per_second
        rate = middle * flops_per_token(shape.config())
        aim = entry.size.aim_tokens_per_second
        rows.append(
            f"| {shape.name} | {entry.size.micro_batches} x {shape.batch_sequences} x {shape.context_length} | {middle:,.0f} "
            f"| {low:,.0f} to {high:,.0f} | {rate / peak:.1%} | {rate / H100_DATA_SHEET_FLOPS:.1%} | {entry.peak_bytes / 2**30:.1f} GiB "
            f"| {aim:,.0f} | {'ok' if middle >= aim else 'SHORT'} |"
        )
    head = (
        "| size | batch: micro-batches x sequences x tokens | tokens/s, median | quartiles | MFU of the measured peak "
        "| of 989 TFLOP/s | memory | aim | |\n|---|---|---|---|---|---|---|---|---|"
    )
    about = (
        f"Commit {commit}; {device}; peak measured in the same process: {peak / 1e12:.0f} TFLOP/s (8192 x 8192 products, bfloat16). "
        "Compiled, bfloat16 autocast over float32 weights, clip and fused AdamW in every step. MFU = tokens/s x FLOP/token / peak, "
        "FLOP/token = 3 (2 (12 L d^2 + V d) + 4 L T d)."
    )
    return "\n".join([HEADING, "", about, "", head, *rows, ""])


def write_section(page: Path, section: str) -> None:
    """Put the section in place of the one with the same heading, or at the end."""
    from components.artifacts import write_text

    heading = section.splitlines()[0]
    text = page.read_text(encoding="utf-8") if page.exists() else "# Results of the benchmarks on other machines\n"
    before, found, rest = text.partition(heading)
    _, next_heading, after = rest.partition("\n## ") if found else ("", "", "")
    write_text(page, before.rstrip("\n") + "\n\n" + section + next_heading + after)


def _commit() -> str:
    """Short hash, with + where the working tree differs."""
    done = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=RESULTS_PAGE.parent, capture_output=True, text=True, check=True)
    return done.stdout.strip()
