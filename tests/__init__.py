"""The tests of hoopx: units, laws, golden files, journeys, and the real peers they meet."""
