"""Fetching is all or nothing: the published pixels in their place, or a message and no trace."""

from __future__ import annotations

import stat
import zipfile

import numpy as np
import pytest

from tests.datasets.small import em_archive, em_registry, em_volumes, png_bytes, serving, tiff_bytes, zip_bytes
from unet_paper.cli import fetch as fetch_command
from unet_paper.cli import main
from unet_paper.datasets import fetching
from unet_paper.datasets.fetching import fetch, pixels_sha256, read_registry
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
    assert len({pixels_sha256(tmp_path, name) for name in ("a.tif", "b.tif", "c.tif")}) == 1
    for number, section in enumerate(pixels):
        (tmp_path / f"t{number:03d}.tif").write_bytes(tiff_bytes(section))
    assert pixels_sha256(tmp_path, "t*.tif") == pixels_sha256(tmp_path, "a.tif")


def test_registry_is_complete():
    registry = read_registry()
    assert tuple(registry) == fetch_command.NAMES
    for entry in registry.values():
        assert set(entry) == {"title", "licence", "folder", "keep", "limit_mb", "sources", "sha256"}
        assert len(entry["sources"]) >= 2
        assert all(len(digest) == 64 for digest in entry["sha256"].values())


def test_command_line(tmp_path, server, volumes, monkeypatch, capsys):
    address = server.add("/data.zip", em_archive(volumes))
    entry = read_registry()["isbi2012"] | em_registry(volumes, [{"archive": address}])["small"]
    monkeypatch.setattr(fetching, "read_registry", lambda: {"isbi2012": entry})
    assert main(["fetch", "isbi2012", "--to", str(tmp_path)]) == 0
    assert "non-commercial" in capsys.readouterr().out
    assert_complete(tmp_path / "isbi2012", volumes)


def test_command_line_says_what_failed(tmp_path, server, volumes, monkeypatch, capsys):
    address = f"{server.address}/gone.zip"
    entry = read_registry()["isbi2012"] | em_registry(volumes, [{"archive": address}])["small"]
    monkeypatch.setattr(fetching, "read_registry", lambda: {"isbi2012": entry})
    monkeypatch.setattr(fetching, "RETRIES", 0)
    assert main(["fetch", "isbi2012", "--to", str(tmp_path)]) == 2
    assert "error: isbi2012 could not be fetched" in capsys.readouterr().err
