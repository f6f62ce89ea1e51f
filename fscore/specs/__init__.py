"""Resolves the names in a request to the plain data (specs) that the Rust core compiles."""
