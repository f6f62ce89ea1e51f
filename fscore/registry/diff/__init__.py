"""The differences between two registries, and what they mean for stored data."""
