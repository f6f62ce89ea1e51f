"""Servers: their addresses, what they can do, what a subscription hears. No sockets."""
