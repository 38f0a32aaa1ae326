"""Unpacking archives from the network: nothing lands outside of the folder, nothing larger than expected."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

MEGABYTE = 2**20
_ENTRIES = 100_000  # more than any data set has files


class ArchiveRefusedError(ValueError):
    """An archive that would do harm; the message says what is wrong with it."""


def unpack(archive: Path, folder: Path, *, limit_mb: float) -> None:
    """Unpack a zip archive into `folder`, after looking at every entry.

    Parameters
    ----------
    archive : pathlib.Path
        The zip file.
    folder : pathlib.Path
        Where its entries go; created if absent.
    limit_mb : float
        Refuse archives that announce more than this many MiB of content.

    Raises
    ------
    ValueError
        If the file is no zip archive, is truncated or damaged, or holds an entry that leads outside of the folder, a
        link, an encrypted entry, or too much. Nothing has been unpacked then, except when the damage shows on the way.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            _refuse_dangerous(opened.infolist(), limit_mb=limit_mb)
            opened.extractall(folder)
    except ArchiveRefusedError:
        raise
    except Exception as error:  # zipfile and the decoders below it raise classes of many kinds
        raise ValueError(f"{archive.name} is no complete zip archive ({error or type(error).__name__})") from error


def _refuse_dangerous(entries: list[zipfile.ZipInfo], *, limit_mb: float) -> None:
    if len(entries) > _ENTRIES:
        raise ArchiveRefusedError(f"archive refused: it has {len(entries)} entries, at most {_ENTRIES} are expected")
    for entry in entries:
        if _leads_outside(entry.filename):
            raise ArchiveRefusedError(
                f"archive refused: its entry {entry.filename!r} leads outside of the target folder"
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ArchiveRefusedError(f"archive refused: its entry {entry.filename!r} is a link, not a file")
        if entry.flag_bits & 1:
            raise ArchiveRefusedError(f"archive refused: its entry {entry.filename!r} is encrypted")
    total_mb = sum(entry.file_size for entry in entries) / MEGABYTE
    if total_mb > limit_mb:
        raise ArchiveRefusedError(f"archive refused: it unpacks to {total_mb:.0f} MiB, at most {limit_mb} are expected")


def _leads_outside(name: str) -> bool:
    """Tell whether a path is absolute or climbs, read the POSIX or the Windows way."""
    return any(
        path.is_absolute() or path.anchor != "" or ".." in path.parts
        for path in (PurePosixPath(name), PureWindowsPath(name))
    )
