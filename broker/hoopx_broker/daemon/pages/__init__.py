"""The broker's own pages: what waits for people, read and answered in a browser."""
