"""Us beside named peers on the same input, in one run. ``python -m benchmarks.NAME [--quick]``; see harness.py."""
