"""Train the byte-level BPE on the mixture and write the token streams that every run reads."""

import argparse
import sys
from pathlib import Path

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
    from components.curation.mixture import warnings
    from components.tokenization.stream import build_token_shards
    from flows.progress import Progress

    run.log_dataset("corpus", Path(args.corpus))
    with Progress("tokenize", "documents") as progress:
        corpus, out = Corpus(Path(args.corpus)), Path(args.out)
        metrics, shares = build_token_shards(corpus, loaded.mixture, loaded.tokenization, out, progress.update)
    for line in warnings(loaded.mixture, shares):
        print(f"warning: {line}", file=sys.stderr)
    for source, row in metrics["sources"].items():
        drawn = f"{row['tokens_drawn']:,} tokens of {row['tokens_available']:,}"
        print(f"{source:>12}: weight {row['weight']:.2f}, {drawn}, {row['epochs']:.2f} epochs")
    print(f"{metrics['train']['tokens']:,} training tokens, {metrics['bytes_per_token']:.2f} bytes per held-out token")
    write_json(Path(args.metrics), metrics)
    run.log_metrics(tracking.flatten(metrics))


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["corpus", "out", "metrics"]))
