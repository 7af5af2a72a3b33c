"""A checkpoint of ours -> a folder that ``transformers``, and all that stands on it, loads: weights, shape and tokenizer."""

from pathlib import Path
from typing import Any

from components.artifacts import atomic_folder, write_json
from components.errors import InputError
from components.tokenization.byte_pair import END_OF_TEXT, BytePairTokenizer
from components.transformer.block import NORM_EPSILON
from components.transformer.checkpoint import WEIGHTS_FILE, load_checkpoint, save_weights
from components.transformer.config import TransformerConfig
from components.transformer.model import GPT, INIT_STD
from components.transformer.names import HUGGING_FACE_PREFIX, hugging_face_names, is_transposed

CLASSES = {"pre": "GPT2LMHeadModel", "post": "OpenAIGPTLMHeadModel"}


def export_checkpoint(checkpoint: Path, tokenizer: Path, out: Path) -> None:
    """Write the folder ``out``: pre-LN as GPT-2, post-LN as OpenAI's GPT (GPT-1). Ids mean what ``tokenizer`` (tokenizer.json) says.

    Raises:
        InputError: no checkpoint or tokenizer there; more ids in the tokenizer than in the model; banded attention,
            which neither class of ``transformers`` has.
    """
    model, ids = load_checkpoint(checkpoint), BytePairTokenizer.load(tokenizer)
    pattern, num_ids = model.config.attention_pattern, model.config.vocab_size
    if pattern != "dense":
        raise InputError(f"{checkpoint}: attention_pattern {pattern} has no equal in transformers; dense ones export")
    if ids.vocab_size > num_ids:
        known = f"knows {ids.vocab_size} tokens, the model of {checkpoint} {num_ids}"
        raise InputError(f"{tokenizer}: {known}; give the tokenizer that it was trained with")
    with atomic_folder(out) as scratch:
        save_weights(scratch / WEIGHTS_FILE, _tensors(model), metadata={"format": "pt"})
        write_json(scratch / "config.json", _config(model.config, ids.end_of_text))
        ids.save(scratch / "tokenizer.json")
        write_json(scratch / "tokenizer_config.json", _tokenizer_config(model.config))


def _tensors(model: GPT) -> dict[str, Any]:
    names, tensors = hugging_face_names(model.config), model.state_dict()
    return {
        HUGGING_FACE_PREFIX + theirs: tensors[ours].t().contiguous() if is_transposed(ours) else tensors[ours]
        for ours, theirs in names.items()
    }


def _config(config: TransformerConfig, end_of_text: int) -> dict[str, Any]:
    pre = config.norm_placement == "pre"
    return {
        "architectures": [CLASSES[config.norm_placement]],
        "model_type": "gpt2" if pre else "openai-gpt",
        "vocab_size": config.vocab_size,
        "n_positions": config.context_length,
        "n_embd": config.d_model,
        "n_layer": config.num_layers,
        "n_head": config.num_heads,
        **({"activation_function": "gelu_new"} if pre else {"afn": "gelu"}),  # the tanh form, under either name
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout),
        "layer_norm_epsilon": NORM_EPSILON,
        "initializer_range": INIT_STD,
        "tie_word_embeddings": True,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "dtype": "float32",
    }


def _tokenizer_config(config: TransformerConfig) -> dict[str, Any]:
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.context_length,
        "clean_up_tokenization_spaces": False,
        **special,
    }
