"""Versions of an entity's rows: their records, changes, and the removal of what is retired."""
