"""One connection of a caller, before ASGI: the protocol and the guards that bound it."""
