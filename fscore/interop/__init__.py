"""What callers bring and take: columns, rows, Arrow, timestamps."""
