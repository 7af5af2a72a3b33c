"""Write a checkpoint as a folder that transformers and lm-evaluation-harness load: safetensors, config.json and the tokenizer.

Pre-LN becomes GPT2LMHeadModel, post-LN OpenAIGPTLMHeadModel.
"""

import argparse
import sys
from pathlib import Path

from components.errors import InputError
from flows import command, stage


def main(argv: list[str] | None = None) -> int:
    """Export; exit status 2 and one line when the checkpoint or the tokenizer cannot be."""
    parser = argparse.ArgumentParser(prog="python -m flows.export", description=__doc__)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT_FOLDER", help="such as data/target")
    parser.add_argument("out", type=Path, metavar="OUT_FOLDER", help="is replaced if it is there")
    parser.add_argument("--tokenizer", type=Path, default=Path("data/tokens/tokenizer.json"), help="what the ids mean")
    args = parser.parse_args(argv)
    from components.transformer.export import export_checkpoint

    try:
        export_checkpoint(args.checkpoint, args.tokenizer, args.out)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT
    print(f"{args.out}: AutoModelForCausalLM.from_pretrained('{args.out}') loads it; lm_eval --model hf --model_args pretrained={args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
