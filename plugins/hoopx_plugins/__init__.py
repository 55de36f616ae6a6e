"""Plugins: each talks to someone else's service."""
