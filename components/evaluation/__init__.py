"""Scores without training: bits per byte, zero- to few-shot, with intervals."""
