"""One Protocol for each kind of plugin."""
