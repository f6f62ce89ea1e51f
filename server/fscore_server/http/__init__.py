"""HTTP: the protocol, the application, its routes and their description."""
