"""How many images each step of an epoch sees. Imports without torch."""

from __future__ import annotations


def batch_sizes(count: int, size: int) -> list[int]:
    """So many images cut into batches; a single image that is left joins the last one, since batch norm needs two."""
    full, rest = divmod(count, size)
    if full and rest == 1:
        return [size] * (full - 1) + [size + 1]
    return [size] * full + ([rest] if rest else [])
