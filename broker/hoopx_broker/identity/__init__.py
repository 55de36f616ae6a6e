"""Who is asking: tokens verified, people signed in."""
