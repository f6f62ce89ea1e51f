"""What is measured: one module for each part of `python -m bench`."""
