"""Black-box journeys: the installed command, a real broker process and a real PostgreSQL."""
