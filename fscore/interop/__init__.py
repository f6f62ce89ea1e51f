"""Conversion of callers' data: columns, rows, Arrow tables and timestamps."""
