"""Compiled reads for the services, features or keys that requests name."""
