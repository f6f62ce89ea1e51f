"""From names to the plain data that the Rust core compiles."""
