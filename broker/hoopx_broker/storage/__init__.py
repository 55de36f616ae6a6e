"""The state of a broker: SQLite and its migrations."""
