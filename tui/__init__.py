"""Everything of tl-tui that a person sees."""
