"""The client: a session core without I/O, and the sockets under it."""
