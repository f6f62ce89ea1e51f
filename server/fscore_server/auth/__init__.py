"""Who may send requests, and what each key may read."""
