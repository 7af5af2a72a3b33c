"""One small model in a process of its own: ``python -m benchmarks.peers.ladder_cell LAYERS WIDTH HEADS THREADS STEPS``.

Says "ready", waits for a line, and prints how many seconds the steps took.
"""

import sys
import time

from benchmarks.peers.training_steps import Shape, ours

WARM_UP_STEPS = 5


def main(layers: int, width: int, heads: int, threads: int, steps: int) -> None:
    """Steps of params.yaml's vocabulary, context and batch."""
    from components.training.config import ComputeConfig
    from components.training.trainer import prepare

    compute = ComputeConfig(
        accelerator="cpu", devices=1, nodes=1, strategy="single", precision="32-true", threads=threads, loader_workers=0
    )
    prepare(compute, seed=0)
    step = ours(Shape("rung", layers, width, heads, vocab_size=2048, context_length=128, batch_sequences=4), bf16=False)
    for _ in range(WARM_UP_STEPS):
        step()
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
