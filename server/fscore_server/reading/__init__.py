"""From what a request names to a compiled read."""
