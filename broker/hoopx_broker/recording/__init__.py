"""Recordings: written before anything is sent, chained, sealed, and checkable by anyone with a public key."""
