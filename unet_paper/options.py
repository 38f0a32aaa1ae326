"""What every setting passes through: a name among those there are, a plain value, a border, a device.

Each check refuses one kind of bad setting, names the value and says what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from unet_paper.messages import short

TYPES = {kind.__name__: kind for kind in (bool, int, float, str)}  # by name, as annotations of a dataclass are text

_LARGEST_FLOAT = float(np.finfo(np.float64).max)
_Scalar = bool | int | float | str


def check_choice(value: str, choices: Iterable[str], *, name: str) -> str:
    """Return `value` if it is one of `choices`; the message lists them.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {short(repr(value))}; choose one of {', '.join(map(repr, choices))}")
    return value


def check_scalar(value, kind: type, *, name: str) -> _Scalar:
    """Return a setting as Python's own `kind`, so that it can be compared, printed and written as JSON.

    Parameters
    ----------
    value : object
        Also a NumPy scalar; a whole number is a float too, but neither is a boolean a number nor the reverse.
    kind : {bool, int, float, str}
        What the setting must be.
    name : str
        What the message calls it.

    Raises
    ------
    TypeError
        If it is something else; the message names the value.
    ValueError
        If it is a whole number that no float can hold, where a float is wanted.
    """
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, kind) and (kind is bool or not isinstance(plain, bool)):
        return plain
    if kind is float and isinstance(plain, int) and not isinstance(plain, bool):
        if abs(plain) > _LARGEST_FLOAT:
            raise ValueError(f"{name} is {short(repr(value))}, too large for a float; pass at most {_LARGEST_FLOAT:g}")
        return plain
    wanted = {bool: "True or False", int: "a whole number (int)", float: "a number", str: "text (str)"}[kind]
    raise TypeError(f"{name} is {short(repr(value))} ({type(value).__name__}); pass {wanted}")


def check_border(border: int, size: tuple[int, int]) -> None:
    """Refuse a border that is no whole number, negative, or leaves nothing of images of `size` (H, W) px.

    Raises
    ------
    TypeError, ValueError
        Naming what is allowed.
    """
    largest = (min(size) - 1) // 2
    if not 0 <= check_scalar(border, int, name="border") <= largest:
        raise ValueError(f"border is {border} px; frames of {size[0]} x {size[1]} px allow 0 to {largest}")


def check_device(device: str | torch.device | None) -> torch.device:
    """Return the device of that name, the CPU for None, or refuse what this machine does not have.

    Raises
    ------
    ValueError
        If it is neither the CPU nor a GPU (CUDA, Apple's) that PyTorch finds here; the message says what to choose.
    """
    try:
        known = torch.device("cpu" if device is None else device)
    except RuntimeError as error:
        raise ValueError(f'device is "{device}"; choose cpu or cuda') from error
    if known.type == "cuda" and (known.index or 0) >= (count := torch.cuda.device_count()):
        there = f"only {count} GPUs here, counted from 0" if count else "no GPU here; say --device cpu"
        raise ValueError(f'device is "{device}", but PyTorch finds {there}')
    apple = known.type == "mps" and torch.backends.mps.is_available()
    if not apple and (known.type not in ("cpu", "cuda") or (known.type == "cpu" and known.index)):
        raise ValueError(f'device is "{device}"; choose cpu or cuda')
    return known
