"""GPT-3's appendix A: quality filter, near-duplicates, fate of every document, mixture."""
