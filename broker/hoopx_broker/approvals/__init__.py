"""The desk where requests wait for people."""
