"""The comparison of runs: measured rows, statistics on the same images, and both in words."""
