"""Turns the events of a source into rows of its views."""
