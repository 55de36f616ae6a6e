"""Evidence: chained entries on disk, written before what they tell of is sent."""
