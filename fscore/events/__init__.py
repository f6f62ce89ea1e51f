"""From the events of a source to rows."""
