"""PostgreSQL's own regression suite through the broker: what differs from the same suite run directly, and why."""
