"""Ablations: effects over seeds with intervals and a verdict."""
