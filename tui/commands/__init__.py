"""The commands of ``tl-tui`` but for the app: what each does and prints."""
