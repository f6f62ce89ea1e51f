"""From the lines of a file to rows, or to rejects with their reason."""
