"""Lines of small tasks to train on, for the forecast of what a model can do."""

import argparse
import sys
from pathlib import Path

from components.capability.config import CapabilityConfig
from flows import params, stage, tracking


class Sections(params.Sections):
    """What this stage reads of params.yaml."""

    capability: CapabilityConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """Nothing but parameters -> data/capability_tokens."""
    from components.capability.tokens import write_capability_tokens

    sizes = write_capability_tokens(loaded.capability.problems, Path(args.out))
    print(f"{sizes['train']:,} tokens to train on, {sizes['held_out']:,} held out")
    run.log_metrics({f"{split}_tokens": number for split, number in sizes.items()})


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["out"]))
