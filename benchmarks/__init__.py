"""Benchmarks: `python -m benchmarks.NAME` from the project's root; README.md says how each number is taken."""
