"""What was asked: experiments and strategies, to and from TOML."""
