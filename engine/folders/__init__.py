"""An experiment's folder on disk, and all of them in a few facts each."""
