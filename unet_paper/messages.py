"""Text for people: names and values from files may hold anything, so they pass through here before they are shown."""

from __future__ import annotations

import unicodedata

LIMIT = 1500  # characters of a message
_UNSHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, invisible and direction marks, halves of pairs, ends of lines


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
