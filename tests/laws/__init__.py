"""Laws that hold for any input, searched for by Hypothesis."""
