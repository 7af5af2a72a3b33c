"""Item by item against lm-evaluation-harness: the default run's target, exported, in its own model class, on all items of six public sets.

    python -m benchmarks.evaluate_equal [--checkpoint data/target] [--tokens data/tokens] [--data ../shared/data/eval] [--set piqa ...]

    | set | items | candidates | ours - theirs | ours - float64 | theirs - float64 | accuracy, ours | theirs |

Differences are the largest of all log-likelihoods [nats], both in float32; the third and fourth columns say whose rounding it is. A
candidate that is longer than the context is left out: the harness cuts it, ours is read in windows. Exit status 1 where a difference
is above 1e-4 or an accuracy or a greedy verdict is another.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.peers.harness_items import TASKS, Item, items, picked
from components.evaluation.requests import Encoded, encode_pairs
from components.evaluation.scoring import log_likelihoods
from components.tokenization.byte_pair import BytePairTokenizer
from components.transformer.checkpoint import load_checkpoint
from components.transformer.export import export_checkpoint
from components.transformer.model import GPT

MAX_DIFFERENCE_NATS = 1e-4
BATCH_SEQUENCES = 8


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("data/target"))
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"), help="folder with its tokenizer.json")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/eval"), help="folder with the sets")
    parser.add_argument("--set", nargs="+", choices=TASKS, default=TASKS, help="these alone")
    args = parser.parse_args()
    if not args.data.exists():
        print(f"skipped: {args.data} is not there")
        return 0
    harness.require_peers("lm_eval", "transformers", "accelerate")
    model, tokenizer = load_checkpoint(args.checkpoint), BytePairTokenizer.load(args.tokens / "tokenizer.json")
    with tempfile.TemporaryDirectory() as folder:
        export_checkpoint(args.checkpoint, args.tokens / "tokenizer.json", Path(folder))
        peer = open_peer(folder)
    print("| set | items | candidates | ours - theirs | ours - float64 | theirs - float64 | accuracy, ours | theirs |\n" + "|---" * 8 + "|")
    equal = [compare(name, items(args.data, name), peer, model, tokenizer) for name in args.set]
    return 0 if all(equal) else 1


def open_peer(folder: str) -> Any:
    """Their model class on an exported folder."""
    import logging

    from lm_eval.models.huggingface import HFLM

    logging.disable(logging.WARNING)
    return HFLM(pretrained=folder, batch_size=64, device="cpu", dtype="float32")


def compare(name: str, found: list[Item], peer: Any, model: GPT, tokenizer: BytePairTokenizer) -> bool:
    """Print one row; whether the two are equal."""
    pairs = [pair for candidates, _ in found for pair in candidates]
    encoded = encode_pairs(tokenizer.encode_batch, (), tokenizer.end_of_text, pairs, model.config.context_length)
    whole = [number for number, one in enumerate(encoded) if not one.rest]
    theirs, greedy = _theirs(peer, [pairs[number] for number in whole])
    ours = log_likelihoods(model, _requests(encoded, whole), BATCH_SEQUENCES)
    exact = log_likelihoods(model.double(), _requests(encoded, whole), BATCH_SEQUENCES).log_likelihoods
    model.float()
    mine = ours.log_likelihoods
    worst = [float(np.abs(a - b).max()) for a, b in ((mine, theirs), (mine, exact), (theirs, exact))]
    accuracies = [_accuracy(found, whole, scores) for scores in (mine, theirs)]
    cells = [name, f"{len(found):,}", f"{len(whole):,} of {len(pairs):,}", *(f"{value:.1e}" for value in worst)]
    print(f"| {' | '.join([*cells, *('-' if one is None else f'{one:.4f}' for one in accuracies)])} |", flush=True)
    return worst[0] <= MAX_DIFFERENCE_NATS and accuracies[0] == accuracies[1] and ours.greedy.tolist() == greedy


def _requests(encoded: list[Encoded], numbers: list[int]) -> list[Any]:
    return [encoded[number].request for number in numbers]


def _theirs(peer: Any, pairs: list[tuple[str, str]]) -> tuple[np.ndarray, list[bool]]:
    from lm_eval.api.instance import Instance

    found = peer.loglikelihood([Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)], disable_tqdm=True)
    return np.array([value for value, _ in found]), [greedy for _, greedy in found]


def _accuracy(found: list[Item], whole: list[int], scores: np.ndarray) -> float | None:
    """Of the likeliest candidate; one that was left out is never it. None for LAMBADA, whose verdict is the greedy one."""
    if found[0][1] is None:
        return None
    every = np.full(sum(len(candidates) for candidates, _ in found), -np.inf)
    every[whole] = scores
    return float(np.mean([choice == right for choice, (_, right) in zip(picked(found, every), found, strict=True)]))


if __name__ == "__main__":
    sys.exit(main())
