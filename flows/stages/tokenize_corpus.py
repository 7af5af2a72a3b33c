"""Train the byte-level BPE on the mixture and write the token streams that every run reads."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.curation.config import MixtureConfig
from components.tokenization.config import TokenizationConfig
from flows import params, stage, tracking


class Sections(params.Sections):
    """What this stage reads of params.yaml."""

    mixture: MixtureConfig
    tokenization: TokenizationConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """data/corpus -> data/tokens and its metrics."""
    from components.artifacts import Corpus, write_json
    from components.tokenization.stream import build_token_shards
    from flows.progress import Progress

    run.log_dataset("corpus", Path(args.corpus))
    with Progress("tokenize", "documents") as progress:
        corpus, out = Corpus(Path(args.corpus)), Path(args.out)
        metrics = build_token_shards(corpus, loaded.mixture, loaded.tokenization, out, progress.update)
    for line in metrics["warnings"]:
        print(f"warning: {line}", file=sys.stderr)
    print("\n".join(_table(metrics["sources"])))
    print(f"{metrics['train']['tokens']:,} training tokens, {metrics['bytes_per_token']:.2f} bytes per held-out token")
    write_json(Path(args.metrics), metrics)
    run.log_metrics({name: value for name, value in tracking.flatten(metrics).items() if name != "warnings"})


def _table(sources: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """As GPT-3's table 2.2, with the share that a source has of all tokens beside its weight."""
    lines = [f"{'source':>12} {'tokens':>14} {'by size':>8} {'weight':>8} {'drawn':>14} {'epochs':>7}"]
    for name, row in sources.items():
        shares = f"{row['share_by_size']:>8.1%} {row['weight']:>8.1%}"
        lines.append(f"{name:>12} {row['tokens_available']:>14,} {shares} {row['tokens_drawn']:>14,} {row['epochs']:>7.2f}")
    return lines


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["corpus", "out", "metrics"]))
