"""Generators that yield commands: the same code for both drivers."""
