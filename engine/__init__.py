"""The training engine of tl-tui: usable as a library, knows nothing of the screen."""
