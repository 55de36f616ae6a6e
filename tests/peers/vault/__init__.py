"""A Vault for tests: a real OpenBao where there is one, and a double of its HTTP API that acts for real."""
