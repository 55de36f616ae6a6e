"""What runs on the laptop: the `hoopx` command."""
