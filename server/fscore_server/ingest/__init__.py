"""Ingestion from files: read, convert, aggregate, write."""

from fscore_server.ingest.failures import InputError, Reject
from fscore_server.ingest.loader import LoadReport, load

__all__ = ["InputError", "LoadReport", "Reject", "load"]
