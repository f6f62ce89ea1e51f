"""Ingestion from files: read, convert, aggregate, write."""

from fscore_server.ingest.failures import InputError, Reject
from fscore_server.ingest.loader import LoadReport, load
from fscore_server.ingest.pusher import PushReport, push

__all__ = ["InputError", "LoadReport", "PushReport", "Reject", "load", "push"]
