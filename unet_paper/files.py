"""Files, whole or not at all: one way to write, JSON, and numbers with their metadata and a checksum over both.

Nothing in such a file can run. Everything is written beside its place first and moved there when complete, so no
reader ever sees half of it. Checkpoints and trained networks are both safetensors files of this kind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from unet_paper.atomic import replacing

PIECES, PIECE = 64, 2**20  # of a large file, as many pieces of so many bytes tell whether it is still the same


class TensorFileError(ValueError):
    """A file that cannot be used; the message says why."""


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8), whole or not at all."""
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file, whole or not at all.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON does not have.
    """
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, as hexadecimal text."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_of(path: Path) -> str:
    """Return what tells whether an image is still the same, wherever it lies: its size in bytes and a sha256.

    A file of up to 64 MiB is read from end to end. Of a larger one, 64 pieces of 1 MiB are, spread evenly from its
    beginning to its end, so that a few bytes between them may change unseen. Of a folder (a Zarr) the names and sizes
    of all files count, and the bytes of 64 files, spread evenly over their names.
    """
    if path.is_file():
        return f"{path.stat().st_size} {_sha256_of_pieces(path)}"
    files = sorted(file for file in path.rglob("*") if file.is_file())
    sizes = [file.stat().st_size for file in files]
    names = [file.relative_to(path).as_posix() for file in files]
    digest = hashlib.sha256(json.dumps([names, sizes]).encode())
    for file in files[:: max(1, len(files) // PIECES)]:
        digest.update(_sha256_of_pieces(file).encode())
    return f"{sum(sizes)} {digest.hexdigest()}"


def _sha256_of_pieces(path: Path) -> str:
    size = path.stat().st_size
    if size <= PIECES * PIECE:
        return sha256_of(path)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for n in range(PIECES):
            file.seek((size - PIECE) * n // (PIECES - 1))
            digest.update(file.read(PIECE))
    return digest.hexdigest()


def write_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str], *, keep: Path | None = None
) -> None:
    """Write a file with a checksum, replacing the one at `path` only when the new one is complete.

    Parameters
    ----------
    path : pathlib.Path
        Where to write; the folder exists.
    tensors : dict of str to Tensor
        On the CPU, contiguous.
    metadata : dict of str to str
        Plain text; ``"format"`` says what the file is.
    keep : pathlib.Path, optional
        Where the file that was at `path` goes; without it, it is gone.
    """
    metadata = {**metadata, "sha256": _checksum(tensors, metadata)}
    with replacing(path, keep=keep) as unfinished, open(unfinished, "wb") as file:
        for part in _in_order(save(tensors, metadata)):
            file.write(part)


def read_tensors(path: Path, *, format: str, what: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata that `write_tensors` wrote, without the checksum.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    format : str
        The format that the metadata must name.
    what : str
        What such a file is called in messages, with its article.

    Raises
    ------
    TensorFileError
        If the file is truncated, altered, or of another format.
    """
    with _opened(path) as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    if metadata.get("format") != format:
        raise TensorFileError(f"{path} is not {what}: format {metadata.get('format')!r}, not {format!r}")
    if metadata.pop("sha256", None) != _checksum(tensors, metadata):
        raise TensorFileError(f"{path} is damaged (its checksum does not fit its content)")
    return tensors, metadata


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, of any format and unchecked, without reading its tensors.

    Raises
    ------
    TensorFileError
        If the file is not a safetensors file, or truncated.
    """
    with _opened(path) as file:
        return file.metadata() or {}


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    """Open a safetensors file; what goes wrong while reading it becomes one kind of error."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise TensorFileError(f"{path} is damaged, or no safetensors file ({error})") from error


def _in_order(content: bytes) -> tuple[bytes, memoryview]:
    """Return a safetensors file as head and numbers, the head in a fixed order: same content, same bytes.

    The file begins with the length of its head, 8 bytes, and the head, JSON padded with spaces to a multiple of 8.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    head = json.dumps(json.loads(content[8:end]), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    head = head.ljust(-(-len(head) // 8) * 8)
    return len(head).to_bytes(8, "little") + head, memoryview(content)[end:]


def _checksum(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
