"""Finding, decoding, splitting and augmenting labelled images."""
