"""The broker's data path, killed at random moments under load, and held to the server's own log."""
