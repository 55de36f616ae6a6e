"""One session: the order of opening, the loop, the closing."""
