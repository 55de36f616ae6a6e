"""PostgreSQL, frontend/backend protocol version 3 (PostgreSQL manual, chapter 54)."""
