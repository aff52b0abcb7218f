"""What an experiment's events mean."""
