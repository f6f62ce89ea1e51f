"""Versions of an entity's rows: their records, their changes, and the removal of retired ones."""
