"""The deep fuzz lane: `make fuzz` plays random and mutated scenes for as long as it is given, and keeps laws."""
