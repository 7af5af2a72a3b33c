"""The training step beside its peers, in one process: same shape, tokens, optimiser, threads and allocator, taken in turn.

With one thread the times are processor times, which other work on the machine hardly touches; with more, wall times.
In bfloat16 where the processor multiplies faster in it than in float32, else all in float32. nanoGPT and litgpt are not
packages: give their checkouts by --nanogpt and --litgpt or the variables NANOGPT and LITGPT; without, their rows are skipped.
``--device cuda`` measures our three published sizes on one GPU instead and writes a table into benchmarks/RESULTS.md.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import harness
from benchmarks.peers import training_steps
from benchmarks.peers.training_steps import Shape
from flows import quiet

SMALL = Shape("6 x 384, V 8k, T 256", 6, 384, 6, vocab_size=8192, context_length=256, batch_sequences=8)
LARGE = Shape("12 x 768, V 50k, T 512", 12, 768, 12, vocab_size=50257, context_length=512, batch_sequences=2)
TINY = Shape("3 x 96, V 2k, T 128", 3, 96, 6, vocab_size=2048, context_length=128, batch_sequences=4)
GPT3_SMALL_LAYER = Shape("d 768, T 2048", 1, 768, 12, vocab_size=1, context_length=2048, batch_sequences=1)
BAND_TOKENS = 256  # GPT-3's is not published
NANOGPT_AS_IT_SHIPS, NANOGPT, TRANSFORMERS, LITGPT = "nanoGPT as it ships, fp32", "nanoGPT", "transformers", "litgpt"
AT_LEAST = {
    SMALL: {NANOGPT_AS_IT_SHIPS: 2.0, NANOGPT: 1.2, TRANSFORMERS: 1.3, LITGPT: 1.25},
    LARGE: {NANOGPT: 1.05, TRANSFORMERS: 1.2, LITGPT: 1.2},
    TINY: {NANOGPT: 1.0, TRANSFORMERS: 1.0},
}
OVERHEAD_LIMIT_MS = 0.6
NOISE_SCALE_LIMIT_PERCENT = 1.0
LEAST_PERCENT = 0.01  # less is not told apart from none
MICRO_BATCHES = 4
LADDER = [(2, 16, 2), (2, 48, 6), (3, 96, 6)]  # layers, width, heads
LADDER_AT_LEAST = 1.2
BUSY = 0.9  # processor seconds per second and thread below which a step met other work


def main() -> int:
    """Print the rows; exit status 1 when one falls short."""
    args = _arguments()
    if quiet.set_variables():  # the allocator reads its own when the process starts
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.train", *sys.argv[1:]])
    if args.device == "cuda":
        from benchmarks.peers import gpu_table

        return gpu_table.main(args.quick)
    import torch

    torch.set_num_threads(args.threads)
    peaks = {name: matmul_peak(getattr(torch, name)) for name in ("float32", "bfloat16")}
    bf16 = peaks["bfloat16"] > peaks["float32"]
    peak = max(peaks.values())
    print(
        f"{args.threads} threads; products of 1024 x 1024: " + ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in peaks.items())
    )
    print(f"all in {'bfloat16 autocast' if bf16 else 'float32: this processor is no faster in bfloat16'}")
    harness.heading()
    rows = []
    for shape, repeats in ((SMALL, 5 if args.quick else 11), (LARGE, 3 if args.quick else 5), (TINY, 60)):
        rows += step_rows(shape, bf16, peak, repeats, args.nanogpt, args.litgpt)
    rows.append(band_row(bf16, 5 if args.quick else 15))
    rows += [overhead_row(3 if args.quick else 7), noise_scale_row(bf16, 3 if args.quick else 9), ladder_row(1 if args.quick else 5)]
    return harness.finish("train", rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats; within six minutes")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every implementation")
    for name in ("nanogpt", "litgpt"):
        parser.add_argument(f"--{name}", type=Path, default=os.environ.get(name.upper()), help="folder of its checkout")
    return parser.parse_args()


def matmul_peak(dtype: Any, size: int = 1024, repeats: int = 5, device: str = "cpu") -> float:
    """The best rate of a square product [FLOP/s]; of a type that takes long, once."""
    import torch

    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    a = torch.ones(size, size, dtype=dtype, device=device)
    best, spent = float("inf"), 0.0
    for _ in range(repeats + 1):
        start = clock()
        torch.mm(a, a)
        if device != "cpu":
            torch.cuda.synchronize()
        elapsed = clock() - start
        best, spent = min(best, elapsed), spent + elapsed
        if spent > 1.0:
            break
    return 2 * size**3 / best


def step_rows(shape: Shape, bf16: bool, peak: float, repeats: int, nanogpt: Path | None, litgpt: Path | None) -> list[harness.Row]:
    """Each peer with a bound for this shape against us; all are built, then take their steps in turn."""
    wanted, steps = AT_LEAST[shape], {"ours": training_steps.ours(shape, bf16)}
    builders: dict[str, Callable[[], Callable[[], float]]] = {
        TRANSFORMERS: lambda: training_steps.transformers(shape, bf16),
    }
    if nanogpt:
        builders[NANOGPT] = lambda: training_steps.nanogpt(shape, bf16, nanogpt)
        if bf16:
            builders[NANOGPT_AS_IT_SHIPS] = lambda: training_steps.nanogpt(shape, False, nanogpt)
    if litgpt:
        builders[LITGPT] = lambda: training_steps.litgpt(shape, bf16, litgpt)
    steps |= {name: build() for name, build in builders.items() if name in wanted}
    for name, step in steps.items():
        training_steps.check_loss(name, step(), shape.vocab_size)
    times = interleave(steps, repeats)
    if not bf16 and NANOGPT in times:
        times[NANOGPT_AS_IT_SHIPS] = times[NANOGPT]  # the same computation
    return [_step_row(shape, name, times, at_least, peak) for name, at_least in wanted.items() if _is_there(shape, name, times)]


def interleave(steps: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each step, in rounds of one step each, so that a busy moment meets all; says if there were such moments."""
    import torch

    times: dict[str, list[float]] = {name: [] for name in steps}
    threads, busy = torch.get_num_threads(), 0
    for _ in range(repeats):
        for name, step in steps.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            step()
            elapsed, elapsed_cpu = time.perf_counter() - start, time.process_time() - start_cpu
            busy += elapsed_cpu / elapsed < BUSY * threads
            times[name].append(elapsed_cpu if threads == 1 else elapsed)
    if busy:
        print(f"  {busy} of {repeats * len(steps)} steps had less than {BUSY:.0%} of their processors")
    return times


def _is_there(shape: Shape, name: str, times: dict[str, list[float]]) -> bool:
    if name not in times:
        print(f"{shape.name:<44} SKIPPED: no checkout of {name.split()[0]} given (--{name.split()[0].lower()})", flush=True)
    return name in times


def _step_row(shape: Shape, name: str, times: dict[str, list[float]], at_least: float, peak: float) -> harness.Row:
    from components.transformer.accounting import flops_per_token

    flops = flops_per_token(shape.config()) * shape.batch_tokens
    shares = [f"{flops / median(times[who]) / peak:.0%}" for who in ("ours", name)]
    label = f"{name}; of the peak: ours {shares[0]}, theirs {shares[1]}"
    row = harness.Row(f"step, {shape.name}", label, "s", tuple(times["ours"]), tuple(times[name]), at_least)
    harness.show(row)
    return row


def band_row(bf16: bool, repeats: int) -> harness.Row:
    """A banded layer's attention against a dense one's; on paper it takes 0.56 of the operations, its linear layers included."""
    steps = {str(band): training_steps.attention(GPT3_SMALL_LAYER, band, bf16) for band in (BAND_TOKENS, None)}
    for step in steps.values():
        step()
    times = interleave(steps, repeats)
    what = f"attention, {GPT3_SMALL_LAYER.name}, band of {BAND_TOKENS}"
    row = harness.Row(what, "dense", "s", tuple(times[str(BAND_TOKENS)]), tuple(times["None"]), 1.0)
    harness.show(row)
    return row


def overhead_row(repeats: int) -> harness.Row:
    """A step of the pretrain stage, with loader, Lightning, curve and tracking, less the bare step; medians of each round."""
    from benchmarks.peers import product_steps

    with tempfile.TemporaryDirectory() as folder:
        rounds = [product_steps.overhead_ms(Path(folder) / str(number)) for number in range(repeats)]
    limit = (OVERHEAD_LIMIT_MS,) * repeats
    row = harness.Row("Lightning, tracking and loading, a step", "the limit of 0.6 ms", "ms", tuple(rounds), limit, 1.0)
    harness.show(row)
    return row


def noise_scale_row(bf16: bool, repeats: int) -> harness.Row:
    """Its share of a step; its time is a difference of two, which now and then is none."""
    from benchmarks.peers import product_steps

    shares = [max(share, LEAST_PERCENT) for share in product_steps.noise_scale_percent(SMALL, bf16, MICRO_BATCHES, repeats)]
    limit = (NOISE_SCALE_LIMIT_PERCENT,) * repeats
    row = harness.Row(f"gradient noise scale, {MICRO_BATCHES} micro-batches", "the limit of 1 % of a step", "%", tuple(shares), limit, 1.0)
    harness.show(row)
    return row


def ladder_row(repeats: int) -> harness.Row:
    """Two cells of each size: at once with a thread each, against in turn with two threads each."""
    pairs = [(_cells_seconds(threads=1, at_once=True), _cells_seconds(threads=2, at_once=False)) for _ in range(repeats)]
    ours, theirs = zip(*pairs, strict=True)
    row = harness.Row("ladder of three sizes, two cells at once", "in turn with two threads", "s", ours, theirs, LADDER_AT_LEAST)
    harness.show(row)
    return row


def _cells_seconds(threads: int, at_once: bool) -> float:
    return sum(_pair_seconds(size, threads, at_once) for size in LADDER)


def _pair_seconds(size: Sequence[int], threads: int, at_once: bool) -> float:
    command = [sys.executable, "-m", "benchmarks.peers.ladder_cell", *map(str, size), str(threads), "60"]
    cells = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for cell in cells:
        _line(cell)
    if at_once:
        for cell in cells:
            _start(cell)
        return max(float(_line(cell)) for cell in cells)
    total = 0.0
    for cell in cells:
        _start(cell)
        total += float(_line(cell))
    return total


def _line(cell: "subprocess.Popen[str]") -> str:
    assert cell.stdout is not None
    return cell.stdout.readline() or sys.exit("error: a cell of the ladder ended; its message is above")


def _start(cell: "subprocess.Popen[str]") -> None:
    assert cell.stdin is not None
    cell.stdin.write("go\n")
    cell.stdin.flush()


if __name__ == "__main__":
    sys.exit(main())
