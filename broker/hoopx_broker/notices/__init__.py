"""What is told of requests to the outside: written down with the happening, sent afterwards."""
