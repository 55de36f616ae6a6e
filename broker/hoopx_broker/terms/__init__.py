"""The vocabulary of hoopx: frozen values without behaviour, shared by every room."""
