"""What commands print: progress, reports, outcomes."""
