"""Labelled tasks: the items themselves, where they come from, GPT-3's synthetic tasks."""
