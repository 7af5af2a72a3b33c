"""Pre-training with Lightning on one token stream."""
