"""Definitions as plain data, which the registry holds and the rest of the library reads.

From the rest of the library this package imports only the Rust core and the errors.
"""
