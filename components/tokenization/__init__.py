"""Byte-level BPE and the token stream that every training run reads."""
