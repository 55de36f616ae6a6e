"""What is hidden in an answer, and how."""
