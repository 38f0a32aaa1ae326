"""Fetching is all or nothing: the published pixels in their place, or a message and no trace."""

from __future__ import annotations

import gzip
import hashlib
import stat
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from tests.datasets.small import em_archive, em_registry, em_volumes, png_bytes, serving, tiff_bytes, zip_bytes
from unet_paper.atomic import work_folder
from unet_paper.cli import fetch as fetch_command
from unet_paper.cli import main
from unet_paper.datasets import fetching
from unet_paper.datasets.download import Limits, download
from unet_paper.datasets.fetching import fetch, matching, pixels_sha256, read_registry, verified
from unet_paper.datasets.tiff import read_tiff


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def volumes():
    return em_volumes()


def fetch_small(root, volumes, *sources, **options):
    registry = em_registry(volumes, [{"archive": source} if isinstance(source, str) else source for source in sources])
    return fetch("small", to=root, registry=registry, progress=False, **({"retries": 0} | options))


def assert_complete(folder, volumes):
    """Demand the stacks with these pixels in the folder, nothing else in it, and nothing beside it."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(volumes)
    for name, pixels in volumes.items():
        np.testing.assert_array_equal(read_tiff(folder / name, rank=3, fix=""), pixels)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def assert_refused(root, volumes, *sources, match, **options):
    """Demand that nothing is written and that the message says why."""
    with pytest.raises(OSError, match=match):
        fetch_small(root, volumes, *sources, **options)
    assert list(root.iterdir()) == []


def test_archive(tmp_path, server, volumes):
    address = server.add("/data.zip", em_archive(volumes))
    folder = fetch_small(tmp_path, volumes, address)
    assert folder == tmp_path / "isbi2012"
    assert_complete(folder, volumes)


def test_images_are_assembled_to_stacks(tmp_path, server, volumes):
    for name, sections in volumes.items():
        for number, section in enumerate(sections):
            server.add(f"/{name}/{number}.png", png_bytes(section))
    images = {name: f"{server.address}/{name}/{{number}}.png" for name in volumes}
    folder = fetch_small(tmp_path, volumes, {"images": images, "count": 2})
    assert_complete(folder, volumes)


def test_second_source_when_the_first_is_gone(tmp_path, server, volumes):
    good = server.add("/good.zip", em_archive(volumes))
    assert_complete(fetch_small(tmp_path, volumes, f"{server.address}/gone.zip", good), volumes)
    assert server.asked == ["/gone.zip", "/good.zip"]


def test_mirror_comes_first(tmp_path, server, volumes):
    mirror = server.add("/mirror.zip", em_archive(volumes))
    assert_complete(fetch_small(tmp_path, volumes, f"{server.address}/never", mirrors=(mirror,)), volumes)
    assert server.asked == ["/mirror.zip"]


def test_mirror_may_be_a_file(tmp_path, volumes):
    archive = tmp_path / "browser.zip"
    archive.write_bytes(em_archive(volumes))
    assert_complete(fetch_small(tmp_path / "data", volumes, mirrors=(str(archive),)), volumes)
    assert archive.exists()


def test_complete_data_are_not_downloaded_again(tmp_path, server, volumes):
    address = server.add("/data.zip", em_archive(volumes))
    fetch_small(tmp_path, volumes, address)
    fetch_small(tmp_path, volumes, address)
    assert server.asked == ["/data.zip"]


def test_foreign_data_are_left_alone(tmp_path, server, volumes):
    own = tmp_path / "isbi2012" / "train-volume.tif"
    own.parent.mkdir()
    own.write_bytes(tiff_bytes(np.zeros((2, 6, 5), np.uint8)))
    before = own.read_bytes()
    with pytest.raises(ValueError, match=r"isbi2012 exists, but the pixels of train-volume.tif .* move it away"):
        fetch_small(tmp_path, volumes, server.add("/data.zip", em_archive(volumes)))
    assert own.read_bytes() == before
    assert server.asked == []


def test_not_found(tmp_path, server, volumes):
    assert_refused(tmp_path, volumes, f"{server.address}/gone.zip", match="gone.zip: 404")


def test_no_server(tmp_path, volumes):
    with serving() as server:
        address = server.address
    assert_refused(tmp_path, volumes, f"{address}/data.zip", match="could not be fetched")


def test_truncated_archive(tmp_path, server, volumes):
    cut = server.add("/cut.zip", em_archive(volumes)[:-200])
    assert_refused(tmp_path, volumes, cut, match="no complete zip archive")


def test_truncated_file_in_the_archive(tmp_path, server, volumes):
    entries = {name: tiff_bytes(pixels) for name, pixels in volumes.items()}
    entries["train-volume.tif"] = entries["train-volume.tif"][:-20]
    assert_refused(
        tmp_path, volumes, server.add("/cut.zip", zip_bytes(entries)), match="train-volume.tif cannot be read"
    )


def test_damaged_bytes(tmp_path, server, volumes):
    archive = bytearray(em_archive(volumes))
    archive[80:90] = bytes(10)  # inside of the first compressed file
    assert_refused(tmp_path, volumes, server.add("/bad.zip", bytes(archive)), match="no complete zip archive")


def test_other_pixels(tmp_path, server, volumes):
    other = volumes | {"train-labels.tif": 255 - volumes["train-labels.tif"]}
    wrong = server.add("/wrong.zip", em_archive(other))
    assert_refused(tmp_path, volumes, wrong, match="pixels of train-labels.tif are not the published ones")


def test_page_instead_of_an_archive(tmp_path, server, volumes):
    page = server.add("/data.zip", b"<html>please log in</html>")
    assert_refused(tmp_path, volumes, page, match="no complete zip archive")


def test_incomplete_archive(tmp_path, server, volumes):
    del (less := dict(volumes))["test-volume.tif"]
    assert_refused(
        tmp_path, volumes, server.add("/less.zip", em_archive(less)), match="does not hold .*test-volume.tif"
    )


def test_truncated_image(tmp_path, server, volumes):
    server.add("/0.png", png_bytes(volumes["train-volume.tif"][0])[:-30])
    images = dict.fromkeys(volumes, server.address + "/{number}.png")
    assert_refused(tmp_path, volumes, {"images": images, "count": 1}, match="0.png is no complete image")


@pytest.mark.parametrize(
    "name", ["../evil.tif", "challenge/../../evil.tif", "/evil.tif", "C:\\evil.tif", "..\\evil.tif"]
)
def test_path_traversal(tmp_path, server, volumes, name):
    entries = {f"challenge/{stack}": tiff_bytes(pixels) for stack, pixels in volumes.items()}
    evil = server.add("/evil.zip", zip_bytes(entries | {name: b"evil"}))
    root = tmp_path / "data"
    root.mkdir()
    assert_refused(root, volumes, evil, match="leads outside of the target folder")
    assert list(tmp_path.iterdir()) == [root]


def test_link_in_the_archive(tmp_path, server, volumes):
    link = zipfile.ZipInfo("train-volume.tif")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    evil = server.add("/link.zip", zip_bytes({link: b"/etc/hostname"}))
    assert_refused(tmp_path, volumes, evil, match="is a link, not a file")


def test_archive_that_is_too_large(tmp_path, server, volumes):
    bomb = server.add("/bomb.zip", zip_bytes({"zeros.tif": bytes(3 * 2**20)}))
    assert_refused(tmp_path, volumes, bomb, match="unpacks to 3 MiB, at most 1 are expected")


def test_full_disk(tmp_path, server, volumes, monkeypatch):
    usage = fetching.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    address = server.add("/data.zip", em_archive(volumes))
    assert_refused(tmp_path, volumes, address, match="1 MiB free, needs up to 2")
    assert server.asked == []


def test_broken_connection_leaves_nothing_and_the_next_call_succeeds(tmp_path, server, volumes):
    address = server.add("/data.zip", em_archive(volumes), dies=1)
    assert_refused(tmp_path, volumes, address, match="data.zip: .*IncompleteRead")
    assert_complete(fetch_small(tmp_path, volumes, address), volumes)


def test_broken_connection_is_tried_again(tmp_path, server, volumes):
    address = server.add("/data.zip", em_archive(volumes), dies=1)
    assert_complete(fetch_small(tmp_path, volumes, address, retries=1), volumes)
    assert server.asked == ["/data.zip"] * 2


def test_every_reason_is_told(tmp_path, server, volumes):
    page = server.add("/page.zip", b"a page")
    with pytest.raises(OSError, match=r"gone.zip: 404.*; .*page.zip: .*no complete zip"):
        fetch_small(tmp_path, volumes, f"{server.address}/gone.zip", page)


def test_unknown_name(tmp_path):
    with pytest.raises(ValueError, match="name is 'isbi2013'; choose one of 'isbi2012', 'dic-hela', 'phc-u373'"):
        fetch("isbi2013", to=tmp_path)


def test_checksum_is_of_the_pixels_not_of_the_file(tmp_path, volumes):
    pixels = volumes["train-volume.tif"]
    for name, options in (("a.tif", {}), ("b.tif", {"compression": "lzw"}), ("c.tif", {"byteorder": ">"})):
        (tmp_path / name).write_bytes(tiff_bytes(pixels, **options))
    assert len({pixels_sha256([tmp_path / name]) for name in ("a.tif", "b.tif", "c.tif")}) == 1
    for number, section in enumerate(pixels):
        (tmp_path / f"t{number:03d}.tif").write_bytes(tiff_bytes(section))
    assert pixels_sha256(sorted(tmp_path.glob("t*.tif"))) == pixels_sha256([tmp_path / "a.tif"])


def test_registry_is_complete():
    registry = read_registry()
    assert tuple(registry) == fetch_command.NAMES
    for entry in registry.values():
        assert set(entry) - {"only", "redirects"} == {"title", "licence", "folder", "limit_mb", "sources", "sha256"}
        assert all(len(digest) == 64 for digest in entry["sha256"].values())
        for source in entry["sources"]:
            addresses = [source["archive"]] if "archive" in source else source["images"].values()
            assert all(address.startswith("https://") for address in addresses)


def test_only_what_has_a_checksum_is_kept(tmp_path, server, volumes):
    """Of the numbered images only those that the registry lists, and none of what lies beside them."""
    sections = volumes["train-volume.tif"]
    entries = {f"set/01/t{number}.tif": tiff_bytes(section) for number, section in enumerate([*sections, *sections])}
    text = b"1 0 3 0\n"
    archive = zip_bytes(entries | {"set/01/notes.md": b"x", "set/02/t0.tif": b"x", "set/track.txt": text})
    entry = em_registry({}, [{"archive": server.add("/data.zip", archive)}])["small"]
    entry |= {
        "only": {"01/t*.tif": ["t0.tif", "t1.tif"]},
        "sha256": {
            "01/t*.tif": hashlib.sha256(sections.tobytes()).hexdigest(),
            "track.txt": hashlib.sha256(text).hexdigest(),
        },
    }
    folder = fetch("small", to=tmp_path, registry={"small": entry}, progress=False)
    kept = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert kept == ["01/t0.tif", "01/t1.tif", "track.txt"]
    assert [path.name for path in matching(folder, "01/t*.tif", entry)] == ["t0.tif", "t1.tif"]
    said = "Compared with the sha256 in the registry: 01/t*.tif (2), track.txt (1); "
    assert verified(folder, entry) == said + "there is no other file there."
    (folder / "own.txt").write_text("mine")
    assert verified(folder, entry) == said + "1 other files there were not."


@pytest.mark.parametrize(
    "address", ["http://example.org/a.zip", "ftp://127.0.0.1/a.zip", "file:///etc/passwd", "a.zip"]
)
def test_only_https_is_taken(tmp_path, volumes, address):
    assert_refused(tmp_path, volumes, address, match="is no https address and no file here")


def test_a_redirect_to_the_same_host_is_followed(tmp_path, server, volumes):
    server.redirects["/old.zip"] = "/new.zip"
    server.add("/new.zip", em_archive(volumes))
    assert_complete(fetch_small(tmp_path, volumes, f"{server.address}/old.zip"), volumes)


def test_a_redirect_to_another_host_needs_the_registrys_word(tmp_path, server, volumes):
    archive = server.add("/new.zip", em_archive(volumes))
    server.redirects["/old.zip"] = archive.replace("127.0.0.1", "localhost")
    address = f"{server.address}/old.zip"
    assert_refused(tmp_path, volumes, address, match="redirects to localhost, which is not 127.0.0.1")
    assert server.asked == ["/old.zip"]
    registry = em_registry(volumes, [{"archive": address}])
    registry["small"]["redirects"] = ["localhost"]
    assert_complete(fetch("small", to=tmp_path, registry=registry, progress=False), volumes)


def test_a_redirect_to_an_open_line_is_refused(tmp_path, server, volumes):
    server.redirects["/old.zip"] = "http://example.org/new.zip"
    assert_refused(tmp_path, volumes, f"{server.address}/old.zip", match="'http://example.org/new.zip' is no https")


def test_a_redirect_in_a_circle_ends(tmp_path, server, volumes):
    server.redirects["/a.zip"] = "/a.zip"
    assert_refused(tmp_path, volumes, f"{server.address}/a.zip", match="redirects more than 5 times")


@pytest.mark.parametrize("announced", [True, False])
def test_what_is_too_large_is_not_downloaded_to_the_end(tmp_path, server, volumes, announced):
    """1 MiB is expected; the server says before, or does not say, that it sends 64."""
    address = server.add("/large.zip", bytes(2**26))
    if not announced:
        server.headers["/large.zip"] = {}
    assert_refused(tmp_path, volumes, address, match="refused: larger than expected")


def test_what_grows_when_unpacked_is_not_taken(tmp_path, server, volumes):
    content = gzip.compress(bytes(2**26))
    address = server.add("/large.zip", content)
    server.headers["/large.zip"] = {"Content-Encoding": "gzip", "Content-Length": str(len(content))}
    assert_refused(tmp_path, volumes, address, match=r"packed the file \(gzip\) unasked")


def test_a_server_that_sends_a_byte_now_and_then_gives_way(tmp_path, server, volumes):
    slow, good = server.add("/slow.zip", em_archive(volumes)), server.add("/good.zip", em_archive(volumes))
    server.pauses["/slow.zip"] = 0.05  # s: minutes for the whole archive, and never long without a byte
    assert_complete(fetch_small(tmp_path, volumes, slow, good, time_limit=4), volumes)
    assert server.asked == ["/slow.zip", "/good.zip"]
    assert_refused(tmp_path / "other", volumes, slow, time_limit=1, match="longer than its share of the time")


@pytest.mark.parametrize("method", [8, 12, 14, 93, 99])
def test_any_error_of_unpacking_goes_on_to_the_next_source(tmp_path, server, volumes, method):
    """Damaged data of every kind of compression: each decoder has errors of its own."""
    archive = bytearray(zip_bytes({"a.tif": bytes(range(256)) * 20}))
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = archive.index(mark) + offset
        archive[place : place + 2] = method.to_bytes(2, "little")
    archive[36:60] = b"\xff" * 24
    bad, good = server.add("/bad.zip", bytes(archive)), server.add("/good.zip", em_archive(volumes))
    assert_complete(fetch_small(tmp_path, volumes, bad, good), volumes)


def test_a_decoder_that_fails_in_its_own_way_goes_on_to_the_next_source(tmp_path, server, volumes, monkeypatch):
    good = server.add("/good.zip", em_archive(volumes))
    once = iter([RuntimeError("a decoder's own")])
    extract = zipfile.ZipFile.extractall

    def fail_once(archive, folder):
        if (error := next(once, None)) is not None:
            raise error
        extract(archive, folder)

    monkeypatch.setattr(zipfile.ZipFile, "extractall", fail_once)
    assert_complete(fetch_small(tmp_path, volumes, good, good), volumes)


KILLED = """
import sys, time
from unet_paper.datasets import fetching
fetching.unpack = lambda *_, **__: (print("now", flush=True), time.sleep(60))
entry = {"folder": "isbi2012", "limit_mb": 1, "sources": [{"archive": sys.argv[2]}], "sha256": {"a.tif": ""}}
fetching.fetch("small", to=sys.argv[1], registry={"small": entry}, progress=False)
"""


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path, server, volumes):
    address = server.add("/data.zip", em_archive(volumes))
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), address], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "now\n"
    with pytest.raises(FileExistsError, match="another process is fetching small"):
        fetch_small(tmp_path, volumes, address)
    child.kill()
    child.wait()
    child.stdout.close()
    (tmp_path / ".fetching-of-another-data-set").mkdir()
    assert (tmp_path / ".fetching-small").is_dir()
    assert_complete(fetch_small(tmp_path, volumes, address), volumes)


def test_what_another_process_fetches_is_no_leftover(tmp_path, server, volumes):
    address = server.add("/data.zip", em_archive(volumes))
    with work_folder(tmp_path / ".fetching-other", busy="busy") as other:
        fetch_small(tmp_path, volumes, address)
        assert other.is_dir()


def test_data_that_came_meanwhile_are_left_alone(tmp_path, server, volumes, monkeypatch):
    address, own = server.add("/data.zip", em_archive(volumes)), tmp_path / "isbi2012/own.txt"
    verify = fetching.verify_pixels

    def verify_while_a_folder_comes(folder, entry):
        verify(folder, entry)
        own.parent.mkdir()
        own.write_text("mine")

    monkeypatch.setattr(fetching, "verify_pixels", verify_while_a_folder_comes)
    with pytest.raises(OSError, match="isbi2012"):
        fetch_small(tmp_path, volumes, address)
    assert own.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["isbi2012"]


def test_a_name_in_an_address_leads_nowhere_else(tmp_path, server):
    limits = Limits(size=100, ends=time.monotonic() + 30)
    asked = {"/..": "/", "/%2e%2e": "/..", "/a b?c=/d": "/a%20b?c=/d", "/": "/", "/.hidden": "/.hidden"}
    for number, ending in enumerate(asked):
        server.add(asked[ending], b"content")
        path = download(server.address + ending, tmp_path / str(number), limits, progress=False)
        assert path.parent == tmp_path / str(number)
        assert path.read_bytes() == b"content"


def test_command_line(tmp_path, server, volumes, monkeypatch, capsys):
    address = server.add("/data.zip", em_archive(volumes))
    entry = read_registry()["isbi2012"] | em_registry(volumes, [{"archive": address}])["small"]
    monkeypatch.setattr(fetching, "read_registry", lambda: {"isbi2012": entry})
    assert main(["fetch", "isbi2012", "--to", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "non-commercial" in out
    checked = "train-volume.tif (1), train-labels.tif (1), test-volume.tif (1); there is no other file there."
    assert out.splitlines()[-1] == f"Compared with the sha256 in the registry: {checked}"
    assert_complete(tmp_path / "isbi2012", volumes)


def test_command_line_says_what_failed(tmp_path, server, volumes, monkeypatch, capsys):
    address = f"{server.address}/gone.zip"
    entry = read_registry()["isbi2012"] | em_registry(volumes, [{"archive": address}])["small"]
    monkeypatch.setattr(fetching, "read_registry", lambda: {"isbi2012": entry})
    monkeypatch.setattr(fetching, "RETRIES", 0)
    assert main(["fetch", "isbi2012", "--to", str(tmp_path)]) == 2
    assert "error: isbi2012 could not be fetched" in capsys.readouterr().err
