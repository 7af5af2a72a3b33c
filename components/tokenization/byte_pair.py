"""Byte-level BPE (GPT-2 section 2.2): any text has a code, and decode(encode(text)) == text."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from components.errors import InputError

END_OF_TEXT = "<|endoftext|>"
# GPT-2's released encoder: merges never cross character categories, but a single leading space may join the run after it.
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class BytePairTokenizer:
    """Text <-> token ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.vocab_size: int = tokenizer.get_vocab_size()
        end_of_text = tokenizer.token_to_id(END_OF_TEXT)
        if end_of_text is None:
            raise InputError(f"the tokenizer has no {END_OF_TEXT} token; run dvc repro tokenize_corpus to make one that has")
        self.end_of_text: int = end_of_text

    @classmethod
    def train(cls, texts: Iterator[str], vocab_size: int) -> Self:
        """Learn ``vocab_size`` - 257 merges.

        Raises:
            InputError: the texts hold too few different pairs for so large a vocabulary.
        """
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(GPT2_PATTERN), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet, show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
        if tokenizer.get_vocab_size() < vocab_size:
            raise InputError(
                f"params.yaml: tokenization.vocab_size {vocab_size} is larger than the text supports "
                f"({tokenizer.get_vocab_size()} tokens found); lower it or add text"
            )
        return cls(tokenizer)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read ``tokenizer.json``; a missing or damaged file is an InputError."""
        try:
            return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise InputError(f"{path}: not there; run dvc repro tokenize_corpus") from None
        except Exception as error:  # tokenizers raises bare Exception
            raise InputError(f"{path}: not a tokenizer ({' '.join(str(error).split())}); delete it and run dvc repro") from None

    def save(self, path: Path) -> None:
        """Write ``tokenizer.json``."""
        path.write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``. The characters of ``<|endoftext|>`` in a document are ordinary text, never the special token."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of many texts, on all cores."""
        self._tokenizer.encode_special_tokens = True
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text behind ``ids``, special tokens included."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)
