"""Everybody at a few requests at once, many times over: see `__main__.py`."""
