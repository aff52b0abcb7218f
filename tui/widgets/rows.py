"""Text of which only the rows that change are sent to the terminal."""

from __future__ import annotations

from rich.text import Text
from textual.geometry import Region
from textual.widget import Widget


class Rows(Widget):
    """Shows lines of text that do not wrap; another text costs the wire no more than the lines that differ."""

    DEFAULT_CSS = "Rows { text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, content: Text | None = None, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.content = content or Text()

    def render(self) -> Text:
        """The present text."""
        return self.content

    def put(self, content: Text) -> None:
        """Shows another text."""
        before, self.content = self.content, content
        rows = changed_rows(before, content)
        if rows is None:
            self.refresh()
        elif rows:
            self.refresh(*(Region(0, row, self.content_size.width, 1) for row in rows))


def changed_rows(before: Text, after: Text) -> list[int] | None:
    """The numbers of the lines that differ; None where the texts have not equally many."""
    old, new = before.split("\n", allow_blank=True), after.split("\n", allow_blank=True)
    if len(old) != len(new):
        return None
    return [number for number, (one, other) in enumerate(zip(old, new, strict=True)) if not same(one, other)]


def same(one: Text, other: Text) -> bool:
    """Whether two lines look the same."""
    return one.plain == other.plain and one.spans == other.spans and one.style == other.style
