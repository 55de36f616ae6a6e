"""The broker's state on disk: one SQLite file, its migrations, and the rows of sessions."""
