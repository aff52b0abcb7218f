"""What the app and the commands say, as text. Pure."""
