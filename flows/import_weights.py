"""Make a checkpoint folder of published weights: Hugging Face's GPT-2 or GPT-1 (safetensors), or OpenAI's own GPT-1 (params_*.npy)."""

import argparse
import sys
from pathlib import Path

from components.errors import InputError
from flows import command, stage


def main(argv: list[str] | None = None) -> int:
    """Import; exit status 2 and one line when the folder holds no model that can be read."""
    parser = argparse.ArgumentParser(prog="python -m flows.import_weights", description=__doc__)
    parser.add_argument(
        "source", type=Path, metavar="FOLDER", help="with config.json and *.safetensors, or params_shapes.json and params_*.npy"
    )
    parser.add_argument("out", type=Path, metavar="OUT_FOLDER", help="is replaced if it is there")
    args = parser.parse_args(argv)
    from components.artifacts import atomic_folder
    from components.transformer.checkpoint import save_checkpoint
    from components.transformer.published import load_published

    try:
        model = load_published(args.source)
        with atomic_folder(args.out) as scratch:
            save_checkpoint(scratch, model)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT
    c = model.config
    print(
        f"{args.out}: {c.num_layers} layers of width {c.d_model}, {c.norm_placement}-LN, {c.vocab_size:,} ids, context {c.context_length:,}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
