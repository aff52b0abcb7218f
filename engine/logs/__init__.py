"""What happened, and the files that it is written to."""
