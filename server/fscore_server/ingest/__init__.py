"""Ingestion from files: reading, conversion, aggregation, writing."""

from fscore_server.ingest.loader import LoadReport, load
from fscore_server.ingest.pusher import PushReport, push
from fscore_server.ingest.rows.failures import InputError, Reject

__all__ = ["InputError", "LoadReport", "PushReport", "Reject", "load", "push"]
