"""Looks at data for Setup: what is there, and whether it is sound; both belong into a thread."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from engine.errors import DataError
from engine.progress import WorkDone
from engine.specs.spec import DataSource
from tui.errors import unexpected
from tui.words.data_summary import DataFound, facts
from tui.work.loading import wait_until_loaded

if TYPE_CHECKING:
    from engine.data.check import DataReport


SAID_EVERY = 0.25
"""Seconds after which it is said again how far looking at the images is."""

# What looks is imported here because only these threads need it, and the first paint must not wait for it.


def looked_at(source: DataSource) -> tuple[DataFound | None, str]:
    """What is found there, or None and why it cannot be used."""
    wait_until_loaded()
    from engine.data.check import quick_check  # noqa: PLC0415
    from engine.data.csv_file import group_column  # noqa: PLC0415
    from engine.data.discover import discover  # noqa: PLC0415

    try:
        dataset = discover(source)
        column = group_column(Path(dataset.path)) if dataset.kind == "csv" and not dataset.groups else ""
        return facts(dataset, quick_check(dataset, source), column), ""
    except (DataError, OSError) as error:
        return None, str(error)
    except Exception as error:
        return None, unexpected(error)


def checked(source: DataSource) -> Generator[WorkDone | DataReport | str, None, None]:
    """How far looking at the images is, a few times a second, then the report, or why it cannot be made."""
    wait_until_loaded()
    from engine.data.check import check  # noqa: PLC0415
    from engine.data.discover import discover  # noqa: PLC0415

    try:
        with closing(check(discover(source), source, workers=1)) as work:  # the other cores are the person's
            said = 0.0
            while True:
                now = next(work)
                if monotonic() - said > SAID_EVERY:
                    said = monotonic()
                    yield now
    except StopIteration as finished:
        yield finished.value
    except (DataError, OSError) as error:
        yield str(error)
    except Exception as error:
        yield unexpected(error)
