"""Images are decoded once, kept where there is room, and are the same wherever that is."""

import errno
import mmap
import re
import resource
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from engine import cache
from engine.cached_rows import CONTENTS
from engine.data import memory_limits, pixels, squares
from engine.data import prepare as module
from engine.data.dataset import DataSet, Sample, Unreadable
from engine.data.discover import discover
from engine.data.pixels import InMemory, Mapped, OnDemand
from engine.data.prepare import prepare
from engine.data.prepared import NO_IMAGES, Prepared
from engine.data.squares import Undecoded, square
from engine.errors import DataError
from engine.specs.spec import DataSource
from tests.engine.hostile.bounded import MIB, rise
from tests.engine.running import wait_for
from tests.engine.work import result

SIDE, CPU = 24, torch.device("cpu")


def prepared(dataset: DataSet, side: int = SIDE) -> tuple[Prepared, list[str]]:
    """The images, and the kinds of work that were needed for them; what is written later is written at the end."""
    with ThreadPoolExecutor(1) as later:
        images, said = result(prepare(dataset, side, CPU, later))
    return images, list(dict.fromkeys(done.detail for done in said))


def pixels_of(images: Prepared, rows: Tensor) -> Tensor:
    sizes = [2] * (len(rows) // 2) + [1] * (len(rows) % 2)
    return torch.cat(list(images.pixels.batches(rows, sizes)))


@pytest.fixture
def dataset(image_folder: Callable[..., Path]) -> DataSet:
    return discover(DataSource(str(image_folder())))


def shown(samples: Sequence[Sample]) -> Tensor:
    return torch.from_numpy(np.stack([square(sample.path, SIDE).transpose(2, 0, 1) for sample in samples]))


def expected(dataset: DataSet) -> Tensor:
    return shown(dataset.train)


def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TL_TUI_RAM_SHARE", "0")


def little_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TL_TUI_RAM_SHARE", "0")
    monkeypatch.setenv("TL_TUI_CACHE_GIB", "0")


def plenty(_: pytest.MonkeyPatch) -> None:
    """Nothing is scarce."""


PLACES = [(plenty, InMemory), (little_memory, Mapped), (little_of_both, OnDemand)]


@pytest.mark.parametrize(("scarce", "kind"), PLACES, ids=lambda value: value.__name__)
def test_the_pixels_are_the_same_wherever_they_are_kept(
    dataset: DataSet, scarce: Callable[[pytest.MonkeyPatch], None], kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce(monkeypatch)
    images, _ = prepared(dataset)
    assert isinstance(images.pixels, kind)
    assert torch.equal(pixels_of(images, images.train.rows), expected(dataset))
    assert all(
        batch.is_contiguous(memory_format=torch.channels_last)
        for batch in images.pixels.batches(images.val.rows, [len(images.val.rows)])
    )
    assert images.train.labels.tolist() == [sample.label for sample in dataset.train]
    backwards = images.train.rows.flip(0)
    assert torch.equal(pixels_of(images, backwards), expected(dataset).flip(0))


@pytest.mark.parametrize(
    ("scarce", "second"), [(plenty, ["reading files"]), (little_memory, ["reading files"])], ids=["memory", "disk"]
)
def test_the_next_experiment_decodes_nothing(
    dataset: DataSet,
    scarce: Callable[[pytest.MonkeyPatch], None],
    second: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scarce(monkeypatch)
    first, work = prepared(dataset)
    assert len(work) == 2
    monkeypatch.setattr(module, "decode", None)
    again, work = prepared(dataset)
    assert work == second
    assert again.pixels.kept == first.pixels.kept
    assert torch.equal(pixels_of(again, again.val.rows), pixels_of(first, first.val.rows))


def test_what_was_only_checked_is_decoded_when_there_is_memory(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "image_memory_budget", lambda _: 0)
    monkeypatch.setattr(module, "_decoded_to_disk", lambda *_: iter(()))
    images, work = prepared(dataset)
    assert (type(images.pixels), work) == (OnDemand, ["reading files", "checking images"])
    images, work = prepared(dataset)
    assert (type(images.pixels), work) == (OnDemand, ["reading files"]), "checked once"
    monkeypatch.setattr(module, "image_memory_budget", lambda _: 10**9)
    images, work = prepared(dataset)
    assert (type(images.pixels), work[1:]) == (InMemory, ["decoding"])


def test_what_was_only_checked_is_decoded_to_the_disk_once_that_has_room(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    little_memory(monkeypatch)
    with monkeypatch.context() as full:
        full.setattr(cache, "limit", lambda: 5000)
        assert prepared(dataset)[0].pixels.kept == "decoded again in every epoch"
        assert cache.entries(), "that they can be"
    images, work = prepared(dataset)
    assert (type(images.pixels), work[1:]) == (Mapped, ["decoding to the disk"])


def test_what_another_process_removes_at_this_moment_is_decoded_again(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    little_memory(monkeypatch)
    prepared(dataset)
    looked = module._any_passing

    def removed(reasons: module.Reasons) -> bool:
        monkeypatch.setattr(module, "_any_passing", looked)
        cache.clear()
        return looked(reasons)

    monkeypatch.setattr(module, "_any_passing", removed)
    assert isinstance(prepared(dataset)[0].pixels, Mapped)


def test_what_memory_has_no_room_for_may_fit_on_a_gpu(dataset: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    little_memory(monkeypatch)
    monkeypatch.setattr(pixels, "fits_on", lambda *_: True)
    monkeypatch.setattr(pixels, "MOVED_AT_ONCE", 3)
    filled: list[Tensor] = []
    monkeypatch.setattr(Tensor, "copy_", lambda self, other: filled.append(other) or self)
    with ThreadPoolExecutor(1) as later:
        images, _ = result(prepare(dataset, SIDE, torch.device("meta"), later))
    assert isinstance(images.pixels, InMemory)
    assert images.pixels.tensor.device.type == "meta"
    assert torch.equal(torch.cat(filled)[images.train.rows].permute(0, 3, 1, 2), expected(dataset))


def test_batches_of_a_mapped_file_are_read_by_several_threads_while_another_is_used(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    little_memory(monkeypatch)
    images, _ = prepared(dataset)
    assert isinstance(images.pixels, Mapped)
    read, real = list[list[int]](), pixels._read
    together = threading.Barrier(2, timeout=30)  # it breaks where one thread reads all

    def noted(array: NDArray[np.uint8], index: Tensor) -> Tensor:
        if index[0] < 4:
            together.wait()
        read.append(index.tolist())
        return real(array, index)

    monkeypatch.setattr(pixels, "_read", noted)
    monkeypatch.setattr(pixels, "cores", lambda: 2)
    with closing(images.pixels.batches(torch.arange(6), [2, 2, 2])) as batches:
        first = next(batches)
        wait_for(lambda: sorted(read) == [[0, 1], [2, 3], [4, 5]])
    assert torch.equal(first.permute(0, 2, 3, 1), torch.from_numpy(images.pixels.array[:2].copy()))


def test_rows_leave_the_memory_of_this_process_alone(tmp_path: Path) -> None:
    """The pages of rows that were read do, and no others."""
    array = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (8, 64, 64, 3))
    array[:] = 1
    array.flush()

    def resident() -> int:
        text = Path("/proc/self/smaps").read_text()
        part = text[text.index("x.npy") :]
        return int(re.search(r"Rss: +(\d+) kB", part)[1]) * 1024

    whole = resident()
    pixels.unmap(array, [2, 5])
    rows = 2 * array[0].nbytes
    assert rows <= whole - resident() <= rows + 4 * mmap.PAGESIZE
    pixels.unmap(array)
    assert resident() == 0
    assert (array == 1).all()


def test_images_that_are_decoded_in_every_epoch_are_decoded_ahead_by_all_threads(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    little_of_both(monkeypatch)
    images, _ = prepared(dataset)
    threads, real = set(), pixels._square
    together = threading.Barrier(2, timeout=30)  # it breaks where one thread does all

    def noted(path: str, side: int) -> NDArray[np.uint8]:
        if threading.get_ident() not in threads:
            threads.add(threading.get_ident())
            together.wait()
        return real(path, side)

    monkeypatch.setattr(pixels, "_square", noted)
    monkeypatch.setattr(pixels, "cores", lambda: 2)
    with closing(images.pixels.batches(torch.arange(8), [2, 2, 2, 2])) as batches:
        assert len(next(batches)) == 2
    assert len(threads) == 2


def test_of_large_batches_that_are_decoded_in_every_epoch_the_next_two_are_decoded_while_one_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded: list[str] = []
    blank = np.zeros((SIDE, SIDE, 3), np.uint8)
    monkeypatch.setattr(pixels, "_square", lambda path, _: decoded.append(path) or blank)
    monkeypatch.setattr(pixels, "cores", lambda: 2)
    images = OnDemand(tuple(map(str, range(100))), SIDE, torch.device("cpu"), lambda _: True)
    with closing(images.batches(torch.arange(100), [20] * 5)) as batches:
        next(batches)
        wait_for(lambda: len(decoded) == 60)


@pytest.mark.parametrize(("device", "waits"), [("cuda", False), ("mps", True)])
def test_only_copies_to_a_cuda_gpu_are_not_waited_for(
    device: str, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(pixels, "pinned", lambda batch, _: batch)
    monkeypatch.setattr(Tensor, "to", lambda _, where, *, non_blocking: asked.append(non_blocking))
    pixels.on_device(torch.zeros(1), torch.device(device))
    assert asked == [not waits]


def test_what_another_decoder_made_is_not_found(dataset: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(dataset)
    monkeypatch.setattr(module, "DECODER", "0")
    _, work = prepared(dataset)
    assert work == ["reading files", "decoding"]


def test_names_labels_and_the_split_do_not_matter_content_does(image_folder: Callable[..., Path]) -> None:
    one, other = image_folder("one"), image_folder("other")
    (other / "train" / "cold" / "0.png").rename(other / "val" / "cold" / "renamed.png")
    first, _ = prepared(discover(DataSource(str(one))))
    second, work = prepared(discover(DataSource(str(other))))
    assert (second.contents.tolist(), work) == (first.contents.tolist(), ["reading files"])
    (other / "val" / "cold" / "renamed.png").write_bytes((other / "val" / "cold" / "1.png").read_bytes())
    third, work = prepared(discover(DataSource(str(other))))
    assert len(third.contents) == len(first.contents) - 1
    assert len(entries_of_pixels()) == 1, "all of it is in the one there is"


def entries_of_pixels() -> list[cache.Entry]:
    return [entry for entry in cache.entries() if entry.kind == "decoded"]


SCARCE = pytest.mark.parametrize("scarce", [plenty, little_memory], ids=["memory", "disk"])


def changed_folder(folder: Path) -> DataSet:
    """Without two of its images, and with two that were not there."""
    for number in (0, 1):
        (folder / "train" / "cold" / f"{number}.png").unlink()
        Image.new("RGB", (30, 40), (9, 99, number)).save(folder / "val" / "warm" / f"new {number}.png")
    return discover(DataSource(str(folder)))


@SCARCE
def test_one_image_more_costs_one_image(
    image_folder: Callable[..., Path], scarce: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce(monkeypatch)
    monkeypatch.setattr(module, "COPIED_AT_ONCE", 5)
    folder = image_folder()
    prepared(discover(DataSource(str(folder))))
    dataset, opened = changed_folder(folder), list[str]()
    monkeypatch.setattr(squares, "square", lambda path, side: opened.append(path) or square(path, side))
    images, work = prepared(dataset)
    assert sorted(Path(path).name for path in opened) == ["new 0.png", "new 1.png"]
    assert work[1] == "copying decoded images"
    assert torch.equal(pixels_of(images, images.train.rows), expected(dataset))
    assert torch.equal(pixels_of(images, images.val.rows[-2:]), shown(dataset.val[-2:]))
    opened.clear()
    again, work = prepared(dataset)
    assert (opened, work) == ([], ["reading files"]), "an entry of its own"
    assert torch.equal(pixels_of(again, again.val.rows), pixels_of(images, images.val.rows))


@SCARCE
def test_one_image_less_costs_nothing(
    image_folder: Callable[..., Path], scarce: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce(monkeypatch)
    folder = image_folder()
    prepared(discover(DataSource(str(folder))))
    (folder / "train" / "warm" / "0.png").unlink()
    monkeypatch.setattr(module, "decode", None)
    dataset = discover(DataSource(str(folder)))
    images, _ = prepared(dataset)
    assert torch.equal(pixels_of(images, images.train.rows), expected(dataset))
    assert len(entries_of_pixels()) == (1 if isinstance(images.pixels, InMemory) else 2)


@SCARCE
def test_of_two_data_sets_a_third_one_takes_what_each_has(
    image_folder: Callable[..., Path], scarce: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce(monkeypatch)
    folder = image_folder()
    whole = discover(DataSource(str(folder)))
    for half in (whole.train[::2], whole.train[1::2]):
        prepared(msgspec.structs.replace(whole, train=half))
    monkeypatch.setattr(module, "decode", None)
    images, _ = prepared(whole)
    assert torch.equal(pixels_of(images, images.train.rows), expected(whole))


@SCARCE
def test_why_an_image_cannot_be_read_is_taken_over_with_the_others(
    image_folder: Callable[..., Path], scarce: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce(monkeypatch)
    folder = image_folder()
    (folder / "train" / "cold" / "3.png").write_bytes(b"<html>")
    prepared(discover(DataSource(str(folder))))
    images, _ = prepared(changed_folder(folder))
    assert [one.reason for one in images.train.unreadable] == ["not an image format that can be read"]
    again, _ = prepared(discover(DataSource(str(folder))))
    assert [Path(one.path).name for one in again.train.unreadable] == ["3.png"]


@pytest.mark.parametrize("name", [module.PIXELS, module.UNREADABLE, CONTENTS])
@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_a_broken_entry_of_others_is_not_used(
    image_folder: Callable[..., Path], name: str, content: bytes | None
) -> None:
    folder = image_folder()
    prepared(discover(DataSource(str(folder))))
    (entry,) = entries_of_pixels()
    if content is None:
        np.save(entry.path / "x.npy", np.zeros((3, 3), "S64"))
        (entry.path / "x.npy").replace(entry.path / name)
    else:
        (entry.path / name).write_bytes(content)
    dataset = changed_folder(folder)
    images, work = prepared(dataset)
    assert work == ["reading files", "decoding"]
    assert torch.equal(pixels_of(images, images.train.rows), expected(dataset))


def test_the_same_image_twice_is_decoded_once(image_folder: Callable[..., Path]) -> None:
    folder = image_folder()
    (folder / "val" / "warm" / "copy.png").write_bytes((folder / "train" / "warm" / "1.png").read_bytes())
    images, _ = prepared(discover(DataSource(str(folder))))
    assert images.count == 12 + 8
    assert len(images.val.rows) == 8 + 1
    assert len(set(images.train.rows.tolist()) & set(images.val.rows.tolist())) == 1


def test_images_that_are_in_two_parts_are_counted(image_folder: Callable[..., Path]) -> None:
    folder = image_folder()
    train = folder / "train" / "warm"
    for place, copied in (("val/warm/x.png", "1.png"), ("val/warm/y.png", "1.png"), ("train/warm/z.png", "2.png")):
        (folder / place).write_bytes((train / copied).read_bytes())
    images, _ = prepared(discover(DataSource(str(folder))))
    assert images.copies(folded=False) == (2, 0)
    assert images.copies(folded=True) == (3 + 2, 0)
    tested = replace(images, val=NO_IMAGES, test=images.val)
    assert tested.copies(folded=False) == (0, 2)
    assert images.conflicts(folded=True) == tested.conflicts(folded=True) == (0, 0), "the same class"
    assert images.conflicting_pairs() == 0


def test_images_that_are_in_two_classes_are_counted(image_folder: Callable[..., Path]) -> None:
    """Two within validation, one in validation and training; a copy within training is no image that is measured."""
    folder = image_folder()
    copied = (
        ("val/warm/1.png", "val/cold/x.png"),
        ("train/warm/2.png", "val/cold/y.png"),
        ("train/warm/3.png", "train/cold/z.png"),
        ("train/cold/1.png", "val/cold/same-class.png"),
    )
    for known, place in copied:
        (folder / place).write_bytes((folder / known).read_bytes())
    images, _ = prepared(discover(DataSource(str(folder))))
    assert images.conflicts(folded=False) == (3, 0)
    assert images.conflicts(folded=True) == (3 + 3, 0)
    assert images.conflicting_pairs() == 3, "as in the report on the data: each copy against the first"
    tested = replace(images, val=NO_IMAGES, test=images.val)
    assert tested.conflicts(folded=False) == (0, 3)
    alone = replace(images, val=NO_IMAGES)
    assert alone.conflicts(folded=False) == (0, 0)


@pytest.mark.parametrize(("scarce", "kind"), PLACES, ids=lambda value: value.__name__)
def test_what_cannot_be_read_is_named_and_left_out_also_the_second_time(
    image_folder: Callable[..., Path],
    scarce: Callable[[pytest.MonkeyPatch], None],
    kind: type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scarce(monkeypatch)
    folder = image_folder()
    (folder / "train" / "cold" / "1.png").write_bytes(b"<html>")
    dataset = discover(DataSource(str(folder)))
    (folder / "val" / "warm" / "2.png").unlink()
    for _ in range(2):
        images, _ = prepared(dataset)
        assert isinstance(images.pixels, kind)
        left_out = {Path(one.path).relative_to(folder).as_posix(): one.reason for one in images.train.unreadable}
        assert left_out == {"train/cold/1.png": "not an image format that can be read"}
        assert len(images.train.rows) == len(images.train.samples) == 11
        assert [one.reason for one in images.val.unreadable] == ["no such file or directory"]


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()], ids=repr)
@pytest.mark.parametrize(("scarce", "kind"), PLACES, ids=lambda value: value.__name__)
def test_what_cannot_be_read_for_a_moment_is_tried_again_by_the_next_experiment(
    dataset: DataSet,
    scarce: Callable[[pytest.MonkeyPatch], None],
    kind: type,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(path: str, side: int) -> NDArray[np.uint8]:
        if path == dataset.train[3].path:
            raise error
        return square(path, side)

    scarce(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(squares, "square", refused)
        first, _ = prepared(dataset)
    assert isinstance(first.pixels, kind)
    assert [one.path for one in first.train.unreadable] == [dataset.train[3].path]
    assert torch.equal(pixels_of(first, first.val.rows[:1]), pixels_of(prepared(dataset)[0], first.val.rows[:1]))
    for _ in range(2):
        again, _ = prepared(dataset)
        assert isinstance(again.pixels, kind)
        assert again.train.unreadable == ()
        assert torch.equal(pixels_of(again, again.train.rows), expected(dataset))
        assert again.fingerprint != first.fingerprint, "an experiment does not go on with other images unawares"


@pytest.mark.parametrize(("scarce", "kind"), PLACES, ids=lambda value: value.__name__)
def test_pixels_of_a_file_that_is_another_by_the_time_it_is_decoded_are_not_kept_as_those_of_the_first(
    dataset: DataSet, scarce: Callable[[pytest.MonkeyPatch], None], kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(dataset.train[3].path)
    before = path.read_bytes()

    def replaced(name: str, side: int) -> NDArray[np.uint8]:
        if name == str(path):
            Image.new("RGB", (40, 40), (1, 2, 3)).save(path)
        return square(name, side)

    scarce(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(squares, "square", replaced)
        first, _ = prepared(dataset)
    assert isinstance(first.pixels, kind)
    assert first.train.unreadable == (Unreadable(str(path), "it is changing while being read"),)
    path.write_bytes(before)
    again, _ = prepared(dataset)
    assert again.train.unreadable == ()
    assert torch.equal(pixels_of(again, again.train.rows), expected(dataset))


def test_a_file_that_is_touched_while_images_are_decoded_is_the_same(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touched(path: str, side: int) -> NDArray[np.uint8]:
        Path(path).touch()
        return square(path, side)

    monkeypatch.setattr(squares, "square", touched)
    images, _ = prepared(dataset)
    assert torch.equal(pixels_of(images, images.train.rows), expected(dataset))


def test_a_class_of_which_nothing_can_be_read(image_folder: Callable[..., Path]) -> None:
    folder = image_folder(train=2)
    for path in (folder / "train" / "warm").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no training image of class warm can be read"):
        prepared(discover(DataSource(str(folder))))


def test_an_image_that_vanishes_after_it_was_checked(dataset: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    little_of_both(monkeypatch)
    images, _ = prepared(dataset)
    Path(dataset.train[3].path).unlink()
    with pytest.raises(DataError, match=r"3.png: no such file or directory, although it was readable before"):
        pixels_of(images, images.train.rows)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_an_image_that_is_another_one_in_a_later_epoch(dataset: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    little_of_both(monkeypatch)
    images, _ = prepared(dataset)
    Path(dataset.train[2].path).touch()
    assert torch.equal(pixels_of(images, images.train.rows), expected(dataset))
    Image.new("RGB", (40, 40), (1, 2, 3)).save(dataset.train[3].path)
    with pytest.raises(DataError, match=r"3.png: has changed since it was first read"):
        pixels_of(images, images.train.rows)


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_a_broken_entry_of_the_cache_is_made_anew(dataset: DataSet, content: bytes | None) -> None:
    prepared(dataset)
    (entry,) = (entry for entry in cache.entries() if entry.kind == "decoded")
    if content is None:
        np.save(entry.path / module.PIXELS, np.zeros((3, 3)))
    else:
        (entry.path / module.PIXELS).write_bytes(content)
    images, work = prepared(dataset)
    assert work == ["reading files", "decoding"]
    assert torch.equal(pixels_of(images, images.train.rows), expected(dataset))


def test_closing_while_it_decodes_to_the_disk_leaves_nothing(dataset: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    little_memory(monkeypatch)
    with ThreadPoolExecutor(1) as later:
        work = prepare(dataset, SIDE, CPU, later)
        for done in work:
            if done.detail == "decoding to the disk" and done.done == 2:
                break
        work.close()
    assert [entry.kind for entry in cache.entries() if entry.kind == "decoded"] == []
    assert not list(cache.folder().glob(".partial-*"))


def test_what_another_process_was_decoding_is_read_in_the_first_epoch_after_it_is_done(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has room for one file of them, which the other has taken."""
    little_memory(monkeypatch)
    size = len({*dataset.train, *dataset.val}) * SIDE * SIDE * 3
    monkeypatch.setattr(cache, "limit", lambda: size + size // 2)
    with ThreadPoolExecutor(1) as later:
        other = prepare(dataset, SIDE, CPU, later)
        next(done for done in other if done.detail == "decoding to the disk" and done.done == 2)
        images, work = prepared(dataset)
        assert (type(images.pixels), work[-1]) == (OnDemand, "checking images")
        assert torch.equal(pixels_of(images, images.train.rows), expected(dataset))
        assert isinstance(result(other)[0].pixels, Mapped)
    monkeypatch.setattr(pixels, "decode_into", None)
    assert torch.equal(pixels_of(images, images.train.rows), expected(dataset))


def test_a_disk_that_takes_no_file_so_large_costs_only_the_file(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As FAT's do, or those of a person with a limit."""
    little_memory(monkeypatch)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, usual[1]))
    try:
        images, _ = prepared(dataset)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert isinstance(images.pixels, OnDemand)
    assert torch.equal(pixels_of(images, images.train.rows), expected(dataset))


def test_of_what_another_process_could_not_read_the_own_is_decoded(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    little_memory(monkeypatch)
    with monkeypatch.context() as full:
        full.setattr(cache, "limit", lambda: 5000)
        images, _ = prepared(dataset)
    (there,) = (entry for entry in cache.entries() if entry.kind == "decoded")
    np.save(there.path / module.PIXELS, np.zeros((len(images.contents), SIDE, SIDE, 3), np.uint8))
    (there.path / module.UNREADABLE).write_bytes(msgspec.json.encode({0: Undecoded("broken")}))
    assert torch.equal(pixels_of(images, images.train.rows), expected(dataset))


READ = """
from pathlib import Path
import torch
from engine.data.pixels import Mapped, open_mapped
array = open_mapped(Path(sys.argv[1]))
images = Mapped(array, torch.device("cpu"))
rows = torch.randperm(len(array))
"""


MAPPED = """
from pathlib import Path
from engine.data.prepare import _new_mapped, _unmapping
array = _new_mapped(Path(sys.argv[1]), (1000, 264, 264, 3))
def decoding():
    for row in range(len(array)):
        array[row] = row % 256
        yield row + 1
    return []
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says what is resident there")
@pytest.mark.slow
def test_a_file_that_is_filled_never_fills_the_memory(tmp_path: Path) -> None:
    """200 MiB of images are decoded to the disk."""
    risen, _ = rise(MAPPED, "for _ in _unmapping(decoding(), array): pass", tmp_path / "x.npy")
    assert risen < 120 * MIB


def test_images_of_another_side_share_the_room(dataset: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = prepared(dataset)
    needed = images.pixels.tensor.nbytes
    monkeypatch.setattr(memory_limits.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 3 * needed}))
    with ThreadPoolExecutor(1) as later:
        for others, kind in (((), InMemory), ((images.pixels,), InMemory), ((images.pixels, images.pixels), Mapped)):
            again, _ = result(prepare(dataset, SIDE, CPU, later, others))
            assert isinstance(again.pixels, kind), len(others)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says what is resident there")
@pytest.mark.slow
def test_a_mapped_file_never_fills_the_memory(tmp_path: Path) -> None:
    """200 MiB of images pass through the process, a batch of 4 MiB in use and one read ahead.

    A file system maps up to 2 MiB for each image that is touched, here up to 40 MiB for a batch.
    """
    np.save(tmp_path / "x.npy", np.ones((1000, 264, 264, 3), np.uint8))
    risen, _ = rise(READ, "for _ in images.batches(rows, [20] * 50): pass", tmp_path / "x.npy")
    assert risen < 125 * MIB
