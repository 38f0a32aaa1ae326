"""Text for people: names and values from files may hold anything, so they pass through here before they are shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import pairwise

LIMIT = 1500  # characters of a message
_UNSHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, invisible and direction marks, halves of pairs, ends of lines


def install(extra: str) -> str:
    """Return the command that brings the packages of an extra: this project lies on no index of packages."""
    return f'pip install --editable "PATH[{extra}]", PATH being the repository of this book'


def plain(text: object, *, limit: int | None = None) -> str:
    r"""Return text on one line in which nothing steers a terminal or a page.

    Parameters
    ----------
    text : object
        Shown as `str` shows it.
    limit : int, optional
        Characters to keep, >= 40; of a longer text its begin and its end stay, which often says what to do.

    Returns
    -------
    str
        Control characters as Python writes them: ``\n``, ``\x1b``, ``\u202e``.
    """
    text = str(text)
    if limit is not None and len(text) > limit:
        begin, end = limit // 2, limit // 3
        text = f"{text[:begin]} [... {len(text) - begin - end} characters ...] {text[-end:]}"
    return "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in _UNSHOWN else character
        for character in text
    )


def reason(error: BaseException) -> str:
    """Return what an error says, on one line of at most about `LIMIT` characters.

    Of PyTorch's errors of many lines the first one stays; the rest are places in its own code.
    """
    said = str(error).strip() or type(error).__name__
    if isinstance(error, RuntimeError):
        said = said.splitlines()[0]
    if isinstance(error, MemoryError) or "allocate memory" in said or "out of memory" in said:
        said = f"not enough memory ({said}); take smaller or fewer images, or a smaller network"
    return plain(said, limit=LIMIT)


def short(text: str, *, limit: int = 80) -> str:
    """Return `text`, or what of its beginning fits into `limit` characters: values in messages may be of any length."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def left_out(numbers: Iterable[int], *, first: int, last: int) -> list[tuple[int, int]]:
    """Return the intervals of `first` to `last` that ascending `numbers` within them leave out, both ends included.

    What is listed are ends, never the numbers between them: a forged table may speak of two thousand million frames.
    """
    known = [first - 1, *(int(number) for number in numbers), last + 1]
    return [(before + 1, after - 1) for before, after in pairwise(known) if after - before > 1]


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as intervals, both ends included."""
    numbers = [int(number) for number in numbers]
    if not numbers:
        return []
    between = left_out(numbers, first=numbers[0], last=numbers[-1])
    starts, ends = [after + 1 for _, after in between], [before - 1 for before, _ in between]
    return list(zip([numbers[0], *starts], [*ends, numbers[-1]], strict=True))


def as_ranges(intervals: list[tuple[int, int]], *, limit: int = 5) -> str:
    """Write intervals as people do, 2-4, 8; behind the first few only how many there are."""
    text = ", ".join(f"{low}-{high}" if low < high else f"{low}" for low, high in intervals[:limit])
    return f"{text} and {len(intervals) - limit} more" if len(intervals) > limit else text
