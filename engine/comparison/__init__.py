"""The comparison of runs: measured rows, statistics on the same images, and what they say in words."""
