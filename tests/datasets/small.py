"""Small data sets in the challenges' layout, and a server on this machine that hands them out, well or badly."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

NAMES = ("train-volume.tif", "train-labels.tif", "test-volume.tif")


def em_volumes() -> dict[str, np.ndarray]:
    """Return three stacks of 2 sections, 6 x 5 px."""
    generator = np.random.default_rng(1)
    stacks = {name: generator.integers(0, 256, (2, 6, 5), dtype=np.uint8) for name in NAMES}
    stacks["train-labels.tif"] = np.where(stacks["train-labels.tif"] > 90, 255, 0).astype(np.uint8)
    return stacks


def tiff_bytes(pixels: np.ndarray, **options) -> bytes:
    """Return `pixels` as a TIFF file in memory."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="minisblack", **options)
    return buffer.getvalue()


def png_bytes(pixels: np.ndarray) -> bytes:
    """Return `pixels` as a PNG file in memory."""
    return imagecodecs.png_encode(pixels)


def zip_bytes(entries: dict[str, bytes]) -> bytes:
    """Return a zip archive in memory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def em_archive(volumes: dict[str, np.ndarray]) -> bytes:
    """Return what the organisers' archive looks like: a folder, the stacks (LZW), and something we do not want."""
    entries = {f"challenge/{name}": tiff_bytes(pixels, compression="lzw") for name, pixels in volumes.items()}
    return zip_bytes(entries | {"challenge/test-labels.tif": b"somebody's predictions"})


def em_registry(volumes: dict[str, np.ndarray], sources: list[dict]) -> dict:
    """Return a registry with one entry, "small", that expects exactly these pixels."""
    entry = {
        "folder": "isbi2012",
        "limit_mb": 1,
        "sources": sources,
        "sha256": {name: hashlib.sha256(pixels.tobytes()).hexdigest() for name, pixels in volumes.items()},
    }
    return {"small": entry}


def write_sequence(root: Path, *, frames: dict[int, np.ndarray], **masks: dict[int, np.ndarray]) -> Path:
    """Write a sequence 01 of the data set "Tiny"; masks by kind: gold, silver, markers."""
    places = {
        "gold": ("01_GT/SEG", "man_seg"),
        "silver": ("01_ST/SEG", "man_seg"),
        "markers": ("01_GT/TRA", "man_track"),
    }
    folder = root / "ctc" / "Tiny"
    for place, prefix, images in [("01", "t", frames), *((*places[kind], images) for kind, images in masks.items())]:
        (folder / place).mkdir(parents=True)
        for number, pixels in images.items():
            tifffile.imwrite(folder / place / f"{prefix}{number:03d}.tif", pixels)
    return folder


class Server:
    """What a test server hands out, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}  # path -> content
        self.dies: dict[str, int] = {}  # path -> how many times the connection breaks in the middle
        self.asked: list[str] = []
        self.redirects: dict[str, str] = {}  # path -> where it leads
        self.headers: dict[str, dict[str, str]] = {}  # path -> what else the answer says; without it, its length
        self.pauses: dict[str, float] = {}  # path -> s between single bytes
        self.address = ""
        self.stops = threading.Event()

    def add(self, path: str, content: bytes, *, dies: int = 0) -> str:
        """Serve `content`, after breaking the connection `dies` times; return the address."""
        self.files[path], self.dies[path] = content, dies
        return self.address + path


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run a server on a free port of the loopback interface."""
    server = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            content = server.files.get(self.path)
            if self.path in server.redirects:
                self.send_response(302)
                self.send_header("Location", server.redirects[self.path])
                self.end_headers()
                return
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            for name, value in server.headers.get(self.path, {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            if server.dies[self.path] > 0:
                server.dies[self.path] -= 1
                content = content[: len(content) // 2]  # less than announced, then the connection closes
            with contextlib.suppress(ConnectionError):  # the client may have had enough
                for byte in content if self.path in server.pauses else ():
                    self.wfile.write(bytes([byte]))
                    if server.stops.wait(server.pauses[self.path]):
                        return
                if self.path not in server.pauses:
                    self.wfile.write(content)

        def log_message(self, *_) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        server.address = f"http://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stops.set()
        listener.shutdown()
        thread.join()
