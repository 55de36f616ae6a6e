"""How every page of the broker looks, and what its browser must not do with it."""
