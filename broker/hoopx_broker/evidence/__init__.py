"""Evidence as a whole: where recordings are kept, the log that proves them, and how long they stay."""
