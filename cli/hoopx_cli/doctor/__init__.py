"""`hoopx doctor`: look at everything that a command needs, and say how to mend what is not as it should be."""
