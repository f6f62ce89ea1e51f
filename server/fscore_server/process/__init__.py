"""Processes: one worker, several under a supervisor, and the embedded Valkey."""
