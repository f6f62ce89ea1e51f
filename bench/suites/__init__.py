"""The benchmarks: one module for each part of `python -m bench`."""
