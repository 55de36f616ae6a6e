"""What rules demand of a request beside who must agree: hours, tickets, lengths, and who may go through at once."""
