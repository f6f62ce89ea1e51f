"""A caller's connection, before ASGI: the protocol and the guards that bound it."""
