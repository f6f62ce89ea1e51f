"""Servers: their addresses, their abilities, and the protocol of a subscription. No sockets."""
