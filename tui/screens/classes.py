"""Images by class: every class with its images by part, and its images a page at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.specs.spec import DataSource
from engine.text import counted, shown
from engine.units import file_size
from tui.drawing.text import cut_in_the_middle, keys_that_fit, told_apart
from tui.drawing.theme import AMBER, GREY, Colour, rgb
from tui.screens.compositor import TellingCompositor
from tui.screens.copies import wrong
from tui.widgets.listing import Listing
from tui.widgets.picture import Picture
from tui.widgets.rows import Rows
from tui.work.class_images import ClassImages, class_images, some
from tui.work.latest import Latest

if TYPE_CHECKING:
    from engine.data.duplicates import Pair
    from engine.data.splits import Part

MOST = (4, 3)
"""Pictures beside and above one another."""
NARROWEST, USUAL = 20, 26
"""Cells of a picture beside another one, and beside several."""
CAPTION = 3
"""Rows below a picture, with the one that parts it from the next."""
AROUND = (6, 6)
"""Cells and rows of the frame, of what parts the list from the pictures, and of the words above these."""
COUNT = 7
"""Cells of a number of images."""
NAMES = (10, 30)
"""Cells of a class's name in the list: as many as have to be, as many as may be."""
FRAME = 6
"""Cells of a line of the window's frame that its words cannot have."""
KEYS = "↑ ↓ class · ← → page · enter larger · p part · o copy paths · esc close"
KEYS_OF_ONE = "↑ ↓ class · ← → image · enter, esc page · p part · o copy path · q close"
KEYS_OF_NONE = "esc close"
KEPT = 6
"""Pictures that each place keeps drawn: some pages back and forth."""
Mark = tuple[str, Colour]
"""What is wrong with an image in a few words."""
_looking = Latest[DataSource, "list[ClassImages] | str"](class_images, "classes")
"""One thread, however often the window is opened while a disk does not answer."""


class ClassList(Listing):
    """A class a line, with how many images it has in each part."""

    def __init__(self) -> None:
        super().__init__(id="classes-list")
        self.found: Sequence[ClassImages] = ()

    @property
    def count(self) -> int:
        """Classes."""
        return len(self.found)

    @property
    def current(self) -> ClassImages | None:
        """The class under the cursor."""
        return self.found[self.cursor] if self.found else None

    def width_for(self, most: int) -> int:
        """Cells that it takes of ``most``."""
        numbers = COUNT * len(self.found[0].parts) if self.found else 0
        longest = max((cell_len(shown(one.name, 80)) for one in self.found), default=0)
        return numbers + max(NAMES[0], min(longest, NAMES[1], most - numbers))

    def head(self, width: int) -> list[Text]:
        """What the columns are."""
        parts = self.found[0].parts if self.found else {}
        return [
            Text(f"{'class':<{width - COUNT * len(parts)}}{''.join(f'{part:>{COUNT}}' for part in parts)}", rgb(GREY))
        ]

    def line(self, number: int, width: int) -> Text:
        """``ants     123     70``; a part without an image stands out."""
        one = self.found[number]
        room = width - COUNT * len(one.parts)
        in_view = self.found[self.first : self.first + self.size.height]
        text = Text(told_apart([shown(other.name, 160) for other in in_view], room)[number - self.first])
        text.pad_right(room - text.cell_len)
        for paths in one.parts.values():
            text.append(f"{len(paths):>{COUNT},}", "" if paths else f"bold {rgb(AMBER)}")
        return text


class Thumbnail(Vertical):
    """A picture above its file's name, part and size."""

    def __init__(self, marks: Mapping[str, Mark]) -> None:
        super().__init__()
        self.marks = marks
        self.picture = Picture(kept=KEPT)
        self.caption = Rows(Text("\n"))
        self.part = ""

    def compose(self) -> ComposeResult:
        """The picture, then two lines."""
        yield self.picture
        yield self.caption

    def show(self, image: tuple[Part, str] | None, following: Sequence[str]) -> None:
        """Shows this image, or nothing, and prepares the one that is likely to come to its place next."""
        self.visible = image is not None
        if image is not None:
            self.part, path = image
            self.picture.show(path, following)
            self.describe()

    @on(Picture.Ready)
    def describe(self) -> None:
        """Says what is known of the file by now."""
        path, drawn, width = self.picture.path, self.picture.ready, max(1, self.size.width)
        facts = [self.part]
        if drawn is not None and drawn.pixels is not None:
            facts.append("×".join(map(str, drawn.pixels)))
        if drawn is not None and drawn.size is not None:
            facts.append(file_size(drawn.size))
        said, colour = self.marks.get(path, ("", GREY))
        below = Text.assemble((f"{said} " if said else "", rgb(colour)), (" ".join(facts), rgb(GREY)))
        lines = [Text(cut_in_the_middle(shown(os.path.basename(path)), width), "bold"), below]  # noqa: PTH119 - a name from outside
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        self.caption.put(Text("\n", no_wrap=True).join(lines))

    def on_resize(self) -> None:
        """The words fit the width."""
        if self.picture.path:
            self.describe()


class Classes(ModalScreen[None]):
    """Looks through the images of a data set by class. ``pairs``: those known to be there twice or to look alike."""

    DEFAULT_CSS = """
    Classes { background: $background; }
    Classes #classes { width: 1fr; height: 1fr; border: round $primary; border-title-style: bold;
                       border-subtitle-color: $text-muted; padding: 0 1; }
    Classes #classes-none { height: 1fr; content-align: center middle; text-align: center; color: $text-muted; }
    Classes #classes-right { padding-left: 2; }
    Classes #classes-head { height: 2; margin-bottom: 1; }
    Classes Grid { height: 1fr; grid-gutter: 1 1; }
    Classes Thumbnail Rows { height: 2; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="classes.back", tooltip="back to the page, or close"),
        Binding("q", "dismiss", "Close", id="classes.close", tooltip="go back"),
        Binding("left,h", "page(-1)", "Previous page", id="classes.before", tooltip="previous images"),
        Binding("right,l", "page(1)", "Next page", id="classes.next", tooltip="next images"),
        Binding("enter", "larger", "Larger", id="classes.larger", tooltip="enlarge one image, or show the page"),
        Binding("p", "part", "Part", id="classes.part", tooltip="show one part (training, validation, test) or all"),
        Binding("o", "copy", "Copy paths", id="classes.copy", tooltip="copy the paths of the images shown"),
    ]

    def __init__(self, source: DataSource, pairs: Sequence[Pair] = ()) -> None:
        super().__init__()
        self._compositor = TellingCompositor()
        self.source = source
        marks: dict[str, Mark] = {}
        for pair in pairs:
            for one in (pair.first, pair.second):
                marks.setdefault(one.path, wrong(pair))
        self.listing = ClassList()
        self.head = Rows(id="classes-head")
        self.places = [Thumbnail(marks) for _ in range(MOST[0] * MOST[1])]
        self.grid = Grid(*self.places)
        self.none = Static("reading …", markup=False, id="classes-none")
        self.body = Horizontal(self.listing, Vertical(self.head, self.grid, id="classes-right"))
        self.first = 0
        self.part: Part | None = None
        self.is_larger = False
        self._shape = (1, 1)

    def compose(self) -> ComposeResult:
        """The classes beside the pictures, or what is waited for."""
        with Vertical(id="classes") as window:
            window.border_title = Text("Images by class")
            yield self.none
            yield self.body

    def on_mount(self) -> None:
        """Nothing is known yet."""
        self.body.display = False
        self._look()

    @work(exit_on_error=False)
    async def _look(self) -> None:
        found = await _looking.answer(self.source)
        if isinstance(found, str) or not found:
            self.none.update(shown(found) if isinstance(found, str) else "No classes.")
            return
        self.listing.found = found
        images = sum(len(paths) for one in found for paths in one.parts.values())
        title = f"{counted(len(found), 'class', 'classes')}, {counted(images, 'image', 'images')}"
        self.query_one("#classes", Vertical).border_title = Text(f"Images by class: {title}")
        self.none.display, self.body.display = False, True
        self.on_resize()
        self.listing.focus()

    def on_resize(self) -> None:
        """As many pictures and keys as have room."""
        keys = KEYS_OF_NONE if not self.listing.found else KEYS_OF_ONE if self.is_larger else KEYS
        self.query_one("#classes", Vertical).border_subtitle = Text(keys_that_fit(keys, self.size.width - FRAME))
        self._divide()
        self.call_after_refresh(self._show)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Until the images are known, and where there are none, the window can only be closed."""
        del parameters
        return bool(self.listing.found) or action in ("back", "dismiss")

    def _divide(self) -> None:
        width, height = self.size.width - AROUND[0], self.size.height - AROUND[1]
        names = self.listing.width_for(width // 2)
        self.listing.styles.width = names
        room = width - names
        columns = max(2 if room >= 2 * NARROWEST else 1, min(MOST[0], room // USUAL))
        # a photograph is three to two, and a cell is as high as two: a picture is a third as many rows as cells
        rows = max(1, min(MOST[1], round(height / (room / columns / 3 + CAPTION))))
        self._shape = columns, rows = (1, 1) if self.is_larger else (columns, rows)
        self.grid.styles.grid_size_columns, self.grid.styles.grid_size_rows = columns, rows
        for number, place in enumerate(self.places):
            place.display = number < columns * rows

    @property
    def _per_page(self) -> int:
        return self._shape[0] * self._shape[1]

    def _parts(self, of: ClassImages) -> list[Part]:
        return [part for part in of.parts if self.part in (None, part)]

    @on(Listing.Moved)
    def _moved(self) -> None:
        self.first = 0
        self._show()

    def action_page(self, pages: int) -> None:
        """Shows the next images of the class, or those before."""
        if (of := self.listing.current) is not None:
            count = sum(len(of.parts[part]) for part in self._parts(of))
            wanted = self.first + pages * self._per_page
            if 0 <= wanted < count:
                self.first = wanted
                self._show()

    def action_larger(self) -> None:
        """Shows one image in all the room, or again as many as have room."""
        self.is_larger = not self.is_larger
        self.on_resize()

    def action_back(self) -> None:
        """Shows the page again of which one image was shown larger, else closes the window."""
        if self.is_larger:
            self.action_larger()
        else:
            self.dismiss()

    def action_part(self) -> None:
        """Shows training images alone, then validation images, then test images, then all."""
        if (of := self.listing.current) is not None:
            choices: list[Part | None] = [None, *of.parts]
            self.part = choices[(choices.index(self.part) + 1) % len(choices)]
            self.first = 0
            self._show()

    def action_copy(self) -> None:
        """Copies the paths of the images in view, one a line."""
        paths = [path for _, path in self._page(0)]
        if paths:
            self.app.copy_to_clipboard("".join(f"{path}\n" for path in paths))
            self.notify(counted(len(paths), "path", "paths"), title="Copied")

    def _page(self, later: int) -> list[tuple[Part, str]]:
        """The images of the page that is shown, or of one so many pages later."""
        of = self.listing.current
        first = self.first + later * self._per_page
        return [] if of is None or first < 0 else some(of, self._parts(of), first, self._per_page)

    def _show(self) -> None:
        of = self.listing.current
        if of is None:
            return
        self.first -= self.first % self._per_page
        page, following = self._page(0), self._page(1)
        for number, place in enumerate(self.places[: self._per_page]):
            after = [path for _, path in following[number : number + 1]]
            place.show(page[number] if number < len(page) else None, after)
        self._say(of, page)

    def _say(self, of: ClassImages, page: Sequence[tuple[Part, str]]) -> None:
        count = sum(len(of.parts[part]) for part in self._parts(of))
        room = max(10, self.head.size.width)
        numbers = (
            f"  {self.first + 1:,}–{self.first + len(page):,} of {counted(count, 'image', 'images')}"
            if page
            else "  no image"
        )
        only = f"only {self.part} · " if self.part is not None else ""
        name = cut_in_the_middle(shown(of.name, 200), max(8, room - len(numbers)))
        lines = [Text.assemble((name, "bold"), (numbers, rgb(GREY)))]
        folder = os.path.commonpath([os.path.dirname(path) for _, path in page]) if page else ""  # noqa: PTH120
        lines.append(Text.assemble((only, rgb(AMBER)), (cut_in_the_middle(shown(folder), room - len(only)), rgb(GREY))))
        self.head.put(Text("\n", no_wrap=True).join(lines))
