"""Rules, facts about what is asked, and the ruling that follows."""
