"""Leases: short-lived credentials stored before use and revoked after it."""
