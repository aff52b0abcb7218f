"""Download of a file over HTTP, as a generator: it tells its progress and ends when it is closed."""

from __future__ import annotations

import http.client
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

from engine.progress import WorkDone

CONNECT_SECONDS = 6.0
"""How long a server may take to answer, all of its addresses together: behind a firewall none ever does."""
STALL_SECONDS = 15.0
POLL_SECONDS = 0.1
CHUNK = 1 << 16


class SourceError(RuntimeError):
    """A source that gave nothing usable; the text is the reason in a few words."""


def download(url: str, into: Path) -> Generator[WorkDone, None, None]:
    """The file at ``url`` into a file; :class:`SourceError` where it cannot be had or stops coming."""
    host = urlsplit(url).netloc
    yield WorkDone(f"connecting to {host}")
    response = yield from _opened(url, host)
    done = 0
    told = time.monotonic()
    with response, into.open("wb") as file:
        told_length = response.headers.get("Content-Length", "")
        total = int(told_length) if told_length.isdecimal() else 0
        while chunk := _read(response, host):
            file.write(chunk)
            done += len(chunk)
            if time.monotonic() - told >= POLL_SECONDS:
                told = time.monotonic()
                yield WorkDone(f"downloading from {host}", done, total)
    if done < total:
        raise SourceError(f"{host} broke off after {done:,} of {total:,} bytes")


def _opened(url: str, host: str) -> Generator[WorkDone, None, http.client.HTTPResponse]:
    """The response, opened in a thread: neither looking up the name nor connecting can be interrupted."""
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()
    left = threading.Event()

    def connect() -> None:
        try:
            response = urllib.request.urlopen(
                urllib.request.Request(url, headers={"User-Agent": "tl-tui"}), timeout=STALL_SECONDS
            )
        except (OSError, ValueError, http.client.HTTPException) as error:
            answers.put(error)
            return
        answers.put(response)
        if left.is_set():
            response.close()

    threading.Thread(target=connect, name="download", daemon=True).start()
    deadline = time.monotonic() + CONNECT_SECONDS
    try:
        while True:
            try:
                answer = answers.get(timeout=POLL_SECONDS)
                break
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise SourceError(f"{host} did not answer within {CONNECT_SECONDS:.0f} s") from None
                yield WorkDone(f"connecting to {host}")
    except BaseException:
        left.set()
        while not answers.empty():
            late = answers.get()
            if isinstance(late, http.client.HTTPResponse):
                late.close()
        raise
    if isinstance(answer, Exception):
        raise SourceError(f"{host}: {_reason(answer)}")
    return answer


def _read(response: http.client.HTTPResponse, host: str) -> bytes:
    try:
        return response.read1(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"{host} broke off: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        error = error.reason if isinstance(error.reason, Exception) else error
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.splitlines()[0]
