"""Where an experiment runs."""
