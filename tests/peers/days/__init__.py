"""A working day of each client: what it does all day, printed, so that a day through the broker can be compared."""
