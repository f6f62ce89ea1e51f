"""Benchmarks of fscore against its peers: `python -m bench` runs them all (docs/performance.md)."""
