"""Conversion of a file's lines into rows, or into rejects with their reason."""
