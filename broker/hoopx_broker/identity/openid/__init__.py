"""The broker as a client of OpenID providers: whom it sends there, and what it takes back."""
