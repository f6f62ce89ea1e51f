"""Definitions as data: what the registry holds, and what both rows and plans are made from.

Imports nothing of the library but the core and the names of errors.
"""
