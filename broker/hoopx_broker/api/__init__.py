"""The contract between CLI and broker."""
