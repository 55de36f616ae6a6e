"""Canaries: unique values in classified columns, and statements that try to get one past the masks: `make canaries`."""
