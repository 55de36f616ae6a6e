"""The real servers and clients that tests meet."""
