"""Facts about an action, taken from the grammar of the system that will run it."""
