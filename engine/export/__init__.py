"""The comparison as text, one module a format."""
