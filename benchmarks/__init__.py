"""What hoopx costs: ratios to the direct way, measured side by side. Nothing here asserts."""
