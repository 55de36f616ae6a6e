"""The one connection between laptop and broker."""
