"""Code that both clients share."""
