"""A folder tree from which the data are picked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DirectoryTree, Tree
from textual.widgets.directory_tree import DirEntry
from textual.widgets.tree import TreeNode

from engine.text import shown
from tui.widgets.dialogs import answer
from tui.widgets.order import MOST
from tui.work.latest import Latest


class _Tree(DirectoryTree):
    """Folders and CSV files; Enter picks, → opens and ← closes.

    Only the threads that read a folder ask the disk, also whether something in it is a folder.
    """

    ICON_NODE = "▸ "
    ICON_NODE_EXPANDED = "▾ "
    ICON_FILE = "  "

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Pick", id="folders.pick", tooltip="use this folder or CSV file"),
        Binding("right", "open", "Open", key_display="→", id="folders.open", tooltip="open the folder"),
        Binding(
            "left",
            "close",
            "Close",
            key_display="←",
            id="folders.close",
            tooltip="close the folder, or go to its parent",
        ),
        Binding("backspace", "up", "Parent folder", id="folders.up", tooltip="go to the parent folder"),
    ]

    def __init__(self, path: Path) -> None:
        self._folders: set[Path] = set()  # of what was read
        super().__init__(path)

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """What can be picked, hidden entries left out; called in the thread that reads a folder."""
        there = [path for path in paths if not path.name.startswith(".")]
        self._folders.update(path for path in there if self._safe_is_dir(path))
        return [path for path in there if path in self._folders or path.suffix.lower() == ".csv"]

    def _populate_node(self, node: TreeNode[DirEntry], content: Iterable[Path]) -> None:
        """As Textual does, which asks the disk here."""
        node.remove_children()
        for path in content:
            node.add(path.name, data=DirEntry(path), allow_expand=path in self._folders)
        node.expand()

    async def watch_path(self) -> None:
        """Begins at another folder. Textual takes no key until that is read."""
        path = Path(self.path)
        self.reset_node(self.root, path.name or str(path), DirEntry(path, loaded=True))
        self.cursor_line = 0
        self.scroll_to(0, 0, animate=False)
        self._fill(self.root)

    async def _on_tree_node_expanded(self, event: Tree.NodeExpanded[DirEntry]) -> None:
        """Reads the folder; Textual takes no key until that is done."""
        event.prevent_default().stop()
        if (entry := event.node.data) is not None and not entry.loaded:
            entry.loaded = True
            self._fill(event.node)

    @work(exit_on_error=False)
    async def _fill(self, node: TreeNode[DirEntry]) -> None:
        entry, content = node.data, await self._load_directory(node).wait()
        if node.data is not entry:  # it stands for another folder by now
            return
        async with self.lock:
            cursor = self.cursor_node
            self._populate_node(node, content)
            if cursor is not None:
                self.move_cursor(cursor, animate=False)

    async def _on_tree_node_selected(self, event: Tree.NodeSelected[DirEntry]) -> None:
        """Tells what was picked, without asking the disk what it is."""
        event.prevent_default().stop()
        if event.node.data is not None:
            self.post_message(self.DirectorySelected(event.node, event.node.data.path))

    def process_label(self, label: str | Text) -> Text:
        """Names as they are, control characters made visible, never markup."""
        return Text(shown(str(label)), no_wrap=True)

    def action_open(self) -> None:
        """Opens the folder under the cursor."""
        if self.cursor_node is not None and self.cursor_node.allow_expand:
            self.cursor_node.expand()

    def action_close(self) -> None:
        """Closes the folder under the cursor, or goes to its parent."""
        node = self.cursor_node
        if node is not None and node.is_expanded and node is not self.root:
            node.collapse()
        else:
            self.action_cursor_parent()

    def action_up(self) -> None:
        """Begins at the folder above."""
        self.path = Path(self.path).absolute().parent


class PickFolder(ModalScreen[Path | None]):
    """Answers with the folder or CSV file that was picked, None where nothing was."""

    DEFAULT_CSS = """
    PickFolder { align: center middle; }
    PickFolder > Vertical { width: 90%; max-width: 90; height: 90%; border: round $primary; background: $surface; }
    PickFolder _Tree { background: transparent; padding: 0 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        # with priority, so that it waits for nothing
        Binding("escape", "dismiss", "Cancel", priority=True, id="folders.cancel", tooltip="cancel"),
    ]

    def __init__(self, start: Path) -> None:
        super().__init__()
        self.start = start

    def compose(self) -> ComposeResult:
        """The tree in a frame."""
        with Vertical() as frame:
            frame.border_title = "Pick a folder of images or a CSV file"
            frame.border_subtitle = Text("enter pick · → ← open · backspace up · esc cancel")
            tree = _Tree(self.start)
            tree.auto_expand = False
            yield tree

    @on(DirectoryTree.DirectorySelected)
    def _selected(self, event: DirectoryTree.DirectorySelected) -> None:
        answer(self, event.path)


async def nearest(path: str | None) -> Path:
    """The folder to begin at: the path's nearest that exists, or the working folder; the root where the disk does not
    answer in a second.
    """
    with suppress(TimeoutError):
        return await asyncio.wait_for(placing.answer(path), MOST)
    return Path("/")


def _nearest(path: str | None) -> Path:
    place = Path(path or ".")
    with suppress(OSError):  # where the working folder is gone
        place = place.absolute()
    for folder in (place, *place.parents):
        with suppress(OSError, ValueError):
            if folder.is_dir():
                return folder
    return Path("/")


placing = Latest(_nearest, "placing")
"""One thread, however often a folder is picked while a disk does not answer."""
