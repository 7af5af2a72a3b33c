"""The rules of curation on lists in memory, without an engine: what tests and benchmarks compare the product with."""
