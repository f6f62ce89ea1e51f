"""Ingestion from files: read, convert, aggregate, write."""

from fscore_server.ingest.loader import LoadReport, load
from fscore_server.ingest.pusher import PushReport, push
from fscore_server.ingest.rows.failures import InputError, Reject

__all__ = ["InputError", "LoadReport", "PushReport", "Reject", "load", "push"]
