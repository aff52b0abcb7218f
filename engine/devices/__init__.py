"""Where training runs, in what precision, and what it takes there."""
