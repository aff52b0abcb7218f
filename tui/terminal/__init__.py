"""The terminal itself: what is written past the screen, and that it may go away."""
