"""People who are signed in at the broker's own pages."""
