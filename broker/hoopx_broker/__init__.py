"""The hoopx broker: judges, masks, records and proves every byte that passes it."""

__version__ = "0.1.0"
