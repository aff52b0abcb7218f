"""Running an experiment: all its runs, one after the other, against its log."""
