"""Downloads that end: over https, from the host that was named, no larger and no longer than expected."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from tqdm import tqdm

_TIMEOUT = 30  # s without a byte from the server
_REDIRECTS = 5
_CHUNK = 2**16  # bytes
_TOO_SLOW = "given up: it took longer than its share of the time"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")  # this machine: nobody listens in between, so http will do
_BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


@dataclass
class Limits:
    """What one source may cost.

    Attributes
    ----------
    size : int
        Bytes that may still come; counts down.
    ends : float
        Time (`time.monotonic()`, s) at which the source is given up.
    hosts : tuple of str
        Other hosts that the source may redirect to.
    retries : int
        How often a broken download starts again from the beginning.
    """

    size: int
    ends: float
    hosts: tuple[str, ...] = ()
    retries: int = 0


def download(address: str, folder: Path, limits: Limits, *, progress: bool) -> Path:
    """Download one file, in full.

    Parameters
    ----------
    address : str
        ``https://...``, or ``http://...`` on this machine.
    folder : pathlib.Path
        Where to put it, under the name that it has in the address.
    limits : Limits
        What it may cost.
    progress : bool
        Show a bar.

    Raises
    ------
    ValueError
        If the address, or one that it redirects to, is not allowed, or the file is too large.
    OSError
        If there is no such file, the connection breaks, or time is up.
    """
    _refuse_open_line(address)
    path = folder / (re.sub(r"[^\w.-]", "_", urlsplit(address).path.rsplit("/", 1)[-1]).strip(".") or "download")
    folder.mkdir(parents=True, exist_ok=True)
    size, left = limits.size, limits.retries
    while True:
        try:
            _until(limits.ends, lambda: _receive(address, path, limits, progress=progress))
            return path
        except _BROKEN:
            if left == 0:
                raise
            limits.size, left = size, left - 1


def _receive(address: str, path: Path, limits: Limits, *, progress: bool) -> None:
    with requests.Session() as session, contextlib.closing(_respond(session, address, limits)) as response:
        announced = int(response.headers.get("Content-Length") or 0)
        _refuse_size(announced, limits)
        with (
            open(path, "wb") as file,
            tqdm(total=announced or None, unit="B", unit_scale=True, desc=path.name, disable=not progress) as bar,
        ):
            for chunk in response.iter_content(_CHUNK):
                _refuse_size(len(chunk), limits)
                limits.size -= len(chunk)
                if time.monotonic() > limits.ends:
                    raise TimeoutError(_TOO_SLOW)
                file.write(chunk)
                bar.update(len(chunk))


def _respond(session: requests.Session, address: str, limits: Limits) -> requests.Response:
    """Follow redirects, as far as they are allowed, to the answer that holds the file."""
    host = urlsplit(address).hostname
    for _ in range(_REDIRECTS + 1):
        # As it is, not compressed for the way: a few bytes could become any number.
        headers = {"Accept-Encoding": "identity"}
        response = session.get(address, stream=True, allow_redirects=False, timeout=_TIMEOUT, headers=headers)
        if not response.is_redirect:
            response.raise_for_status()
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise ValueError(f"the server packed the file ({response.headers['Content-Encoding']}) unasked")
            return response
        response.close()
        address = urljoin(address, response.headers["Location"])
        _refuse_open_line(address)
        if (other := urlsplit(address).hostname) not in (host, *limits.hosts):
            raise ValueError(f"redirects to {other}, which is not {' or '.join((str(host), *limits.hosts))}")
    raise ValueError(f"redirects more than {_REDIRECTS} times")


def _refuse_open_line(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise ValueError(f"{address!r} is no https address and no file here; only what comes over https is taken")


def _refuse_size(more: int, limits: Limits) -> None:
    if more > limits.size:
        raise ValueError(f"refused: larger than expected ({more} bytes more, at most {limits.size} are)")


def _until(ends: float, act: Callable[[], None]) -> None:
    """Do something for at most so long, whatever it waits for: a name, a connection, a byte a minute."""
    done: Future = Future()

    def work() -> None:
        try:
            done.set_result(act())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        done.result(timeout=max(0.0, ends - time.monotonic()))
    except TimeoutError as error:
        if done.done():
            raise
        raise TimeoutError(_TOO_SLOW) from error
