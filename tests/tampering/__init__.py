"""Evidence changed at random in every way that disks, wires and people change things: found, and found where it is."""
