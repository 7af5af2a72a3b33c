"""GPT-1's input transformations and its objective L3 = L2 + lambda L1."""
