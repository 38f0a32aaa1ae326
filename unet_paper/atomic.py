"""Writing, whole or not at all, and never over what came in meanwhile.

Everything is written beside its place first and moved there when complete, so no reader ever sees half of it. Locks,
which end with their process, tell what a living process is writing from what a killed one left behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "unet_paper"  # in the name of all that is unfinished: no other program's file is taken for a leftover
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, what a user may have of it, one file


@contextmanager
def replacing(path: Path, *, keep: Path | None = None) -> Iterator[Path]:
    """Give a place beside `path` to write a file to; if all goes well it takes that name, if not it vanishes.

    The place has a name of its own, so two writers do not meet: the last to finish wins. What killed writers of the
    same file left beside it is removed.

    Parameters
    ----------
    path : pathlib.Path
        What to write or to replace; the folder exists.
    keep : pathlib.Path, optional
        Where the file that was at `path` goes; without it, it is gone.

    Raises
    ------
    OSError
        If it cannot be written; the message names the path.
    """
    _sweep(path)
    unfinished, descriptor = None, None
    try:
        unfinished, descriptor = _own_file(path)
        yield unfinished
        os.fsync(descriptor)  # the content is on the disk before the name points to it
        if keep is not None and path.exists():
            os.replace(path, keep)
        os.replace(unfinished, path)
    except OSError as error:
        raise _with_path(error, path) from None
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)
            os.close(descriptor)  # last: as long as it is open and locked, nobody takes the file for a leftover


@contextmanager
def replacing_folder(folder: Path, *, check: Callable[[], None]) -> Iterator[Path]:
    """Give an empty folder to write into, which takes the place of `folder` if all goes well, and vanishes if not.

    Only what `folder` held at the start is replaced. If something came into it meanwhile, nothing there is touched: the
    result goes beside it. What a killed run put aside is given back first.

    Parameters
    ----------
    folder : pathlib.Path
        What to make or to replace.
    check : callable
        Raises if what is at `folder` may not be replaced; called once no other run writes there.

    Raises
    ------
    FileExistsError
        If another run writes the same folder, or something came into it meanwhile.
    OSError
        If it cannot be written; the message names the path.
    """
    unfinished, replaced, gone = (_beside(folder, end) for end in ("part", "old", "gone"))
    with work_folder(unfinished, busy=f"another run is writing {folder}; wait for it, or name another folder"):
        _remove(gone)
        _give_back(folder, replaced)
        check()
        before = _content(folder)
        try:
            yield unfinished
            _exchange(folder, unfinished, replaced, before)
        except OSError as error:
            raise _with_path(error, folder) from None
        with suppress(FileNotFoundError):  # there was nothing to replace
            replaced.rename(gone)
        _remove(gone)


@contextmanager
def work_folder(folder: Path, *, busy: str) -> Iterator[Path]:
    """Make an empty folder that belongs to this process alone; at the end it is removed, if it is still there.

    Parameters
    ----------
    folder : pathlib.Path
        Where; what a killed run left in it is removed.
    busy : str
        What to say if another process has it.

    Raises
    ------
    FileExistsError
        If another process has it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder, busy=busy):
        _remove(folder)
        folder.mkdir()
        try:
            yield folder
        finally:
            _remove(folder)


@contextmanager
def alone(path: Path, *, busy: str) -> Iterator[None]:
    """Be the only process that works on `path`, for a while.

    Parameters
    ----------
    path : pathlib.Path
        What it is about; a file beside it, with `.lock` behind its name, says that somebody is there.
    busy : str
        What to say if another process is.

    Raises
    ------
    FileExistsError
        If another process is.
    """
    lock = path.with_name(f"{path.name}.lock")
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        if not _lock(descriptor, without=True):
            os.close(descriptor)
            raise FileExistsError(busy)
        if _is_at(descriptor, lock):
            break
        os.close(descriptor)  # its process ended just now, and has removed the file
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # before the lock ends: whoever opened this file looks for the new one
        os.close(descriptor)


def remove_leftovers(folder: Path, pattern: str) -> None:
    """Remove the work folders in `folder` whose names fit `pattern` and whose processes have ended."""
    for leftover in sorted(folder.glob(pattern)):
        if leftover.is_dir():
            with suppress(OSError), alone(leftover, busy="its process lives"):
                _remove(leftover)


def check_writable(folder: Path) -> None:
    """Refuse a folder in which no file can be made, before any time is spent on what goes there; nothing stays.

    Raises
    ------
    OSError
        If it cannot be written, or, where it does not exist yet, the nearest folder above it; the message names it.
    """
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    try:
        with tempfile.NamedTemporaryFile(prefix=f".{MARK}.", dir=there) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        raise OSError(f"{there} cannot be written ({error.strerror or error}); name another folder") from error


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{MARK}.{ending}")


def _own_file(path: Path) -> tuple[Path, int]:
    """Make a file beside `path` that no other process writes, and lock it; return it with its descriptor."""
    while True:
        place = _beside(path, f"{os.getpid()}-{secrets.token_hex(4)}.part")
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if _lock(descriptor, without=True) and _is_at(descriptor, place):
            return place, descriptor
        os.close(descriptor)  # another process was just looking whether this is a leftover, and has removed it


def _sweep(path: Path) -> None:
    """Remove what killed writers of `path` left beside it: files of that name which no living process has locked."""
    leftover = re.compile(re.escape(_beside(path, "").name) + r"\d+-[0-9a-f]{8}\.part")
    for place in path.parent.iterdir():
        if leftover.fullmatch(place.name):
            with suppress(OSError), open(place, "rb+") as file:
                if _lock(file.fileno(), without=False):
                    place.unlink()


def _lock(descriptor: int, *, without: bool) -> bool:
    """Lock an open file until it is closed, at the latest when its process ends; False if another process has it.

    `without` is the answer where the file system knows no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return without
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether an open file or folder is still the one that `path` names."""
    return path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())


def _give_back(folder: Path, replaced: Path) -> None:
    """Give back the result that a run had put aside when it was killed in the middle of the exchange."""
    if replaced.exists():
        place = _free_name(folder, "earlier") if folder.exists() else folder
        replaced.rename(place)
        if place != folder:
            warnings.warn(f"{place} holds a result that a killed run had put aside", stacklevel=2)


def _exchange(folder: Path, unfinished: Path, replaced: Path, before: dict) -> None:
    """Put `unfinished` in the place of `folder` if that still holds what it held before, and nothing else."""
    try:
        if before:
            folder.rename(replaced)  # first out of reach, then looked at: nothing can come in between
        elif folder.exists():
            folder.rmdir()  # refuses a folder that is not empty
        if _content(replaced) != before:
            raise FileExistsError
        unfinished.rename(folder)
    except OSError as error:
        kept = _free_name(folder, "2")
        unfinished.rename(kept)
        changed = f"{folder} was changed by others while this ran, so it is left as it is"
        raise FileExistsError(f"{changed}; the finished result is in {kept}") from error
    finally:
        if replaced.exists() and not folder.exists():
            replaced.rename(folder)


def _content(folder: Path) -> dict[str, tuple]:
    """Return what tells the entries of a folder from others that may come: which file, its size, when it changed."""
    if not folder.is_dir():
        return {}
    entries = [(entry.name, entry.stat(follow_symlinks=False)) for entry in os.scandir(folder)]
    return {name: (found.st_ino, found.st_size, found.st_mtime_ns) for name, found in entries}


def _free_name(folder: Path, word: str) -> Path:
    """Return a name for a folder beside `folder` that nothing has yet."""
    names = (folder.with_name(f"{folder.name}-{word}{end}") for end in ("", *(f"-{n}" for n in range(2, 10_000))))
    return next(place for place in names if not place.exists())


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def _with_path(error: OSError, path: Path) -> OSError:
    """Return the error with `path` in its message if a full disk is the reason: then it names none itself."""
    if error.errno in _FULL and error.filename is None:
        error.filename = str(path)
    return error
