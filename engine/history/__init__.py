"""Earlier experiments on disk: in a few facts each, notes on them, and their removal."""
