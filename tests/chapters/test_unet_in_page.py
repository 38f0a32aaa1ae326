"""The U-Net in the page, in a real browser, from files and without a server: its numbers are Python's."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from browser import launch, needs_chromium, opened, violations
from harness import BOOK
from playwright.sync_api import Browser, Page, sync_playwright

import unet_paper as up
from tests.real_data import REAL, needs_sequences
from unet_paper.datasets.image_files import describe, grey_frames
from unet_paper.networks.in_page import OFFERED, example_image, page_scripts
from unet_paper.networks.library import read_network
from unet_paper.own_images.grey_values import choose_normalisation, normalised, range_of
from unet_paper.own_images.outlines import as_csv, table_rows
from unet_paper.predict import predict_probability
from unet_paper.resizing import resize_image

pytestmark = needs_chromium
SOURCE = BOOK / "_static" / "unet_in_page"
CLOSE = 1e-3  # how far scores and probabilities may be from Python's
TOOLS = """
window.bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
window.text = values => {
  let letters = "";
  new Uint8Array(Float32Array.from(values).buffer).forEach(byte => letters += String.fromCharCode(byte));
  return btoa(letters);
};
"""
DROP = """file => {
  const dropped = new DataTransfer();
  const bytes = Uint8Array.from(atob(file), letter => letter.charCodeAt(0));
  dropped.items.add(new File([bytes], "dropped.png"));
  const event = new DragEvent("drop", {dataTransfer: dropped, bubbles: true, cancelable: true});
  document.getElementById("unet-drop").dispatchEvent(event);
  return document.getElementById("unet-found").hidden;
}"""
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (61, 83), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (61, 83), dtype=np.uint16)
PALETTE = RNG.integers(0, 65536, (3, 256), dtype=np.uint16)
COLOUR = RNG.integers(0, 256, (61, 83, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Write a page with the box and nothing else; return it."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(SOURCE, folder / "_static" / "unet_in_page")
    for name, script in page_scripts(SOURCE):
        (folder / "_static" / "unet_in_page" / name).write_text(script)
    (folder / "book").mkdir()
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>x</title>'
    (folder / "book" / "x.html").write_text(f"{head}<main><h1>x</h1>{(SOURCE / 'box.html').read_text()}</main></html>")
    return folder / "book" / "x.html"


@pytest.fixture(scope="module")  # not longer: its event loop would be in the way of the chapters' kernels
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, launch(playwright) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser, site) -> Page:
    """Return a page whose code is loaded; tests use its functions, and leave the settings of its box alone."""
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(TOOLS)
    page.goto(site.as_uri())
    page.evaluate("() => UNetInPage.startEngine()")
    return page


@pytest.fixture
def fresh(browser, site) -> Iterator[Page]:
    """Give a page that has loaded nothing yet: two workers may divide these tests between them in any order."""
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.goto(site.as_uri())
    yield page
    page.close()


def as_text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def numbers(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32)


def png(pixels: np.ndarray) -> bytes:
    return imagecodecs.png_encode(np.ascontiguousarray(pixels))


def tiff(pixels: np.ndarray, **how) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **how)
    return buffer.getvalue()


def found(page: Page) -> str:
    """Wait until cells are shown; return what the page says of them."""
    page.wait_for_selector("#unet-found:not([hidden]), #unet-status.failed", state="attached")
    assert page.locator("#unet-found").is_visible(), page.inner_text("#unet-status")
    return page.inner_text("#unet-status")


def chosen(page: Page, content: bytes, name: str) -> None:
    """Give a file to the page, which hides the cells and the failure of what came before at once."""
    page.set_input_files("#unet-file", {"name": name, "mimeType": "", "buffer": content})


def downloaded(page: Page, link: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.click(link)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def same_cells(mask: np.ndarray, image: np.ndarray, name: str) -> bool:
    """Tell whether a mask is Python's, but for pixels whose probability lies within `CLOSE` of the threshold."""
    trained = read_network(name)
    probability = predict_probability(trained.net, image, scale=trained.scale, progress=False)[1]
    return not (mask != up.segment(image, trained))[abs(probability - 0.5) > CLOSE].any()


@pytest.mark.parametrize("name", OFFERED)
def test_scores_are_those_of_python_on_the_generated_example(page, name):
    image = example_image(read_network(name).card["task"])[:300, :300]
    expected = up.predict_scores(up.load_network(name), image, progress=False)
    run = """async ([name, file]) => {
      const {settings, layers} = await UNetInPage.network(name);
      const image = UNetInPage.normalised(await UNetInPage.readImage(bytes(file).buffer, "x.png"), settings);
      return text(await UNetInPage.scores(image, layers));
    }"""
    scores = numbers(page.evaluate(run, [name, as_text(png(image))])).reshape(300, 300, 2)
    assert np.abs(scores.transpose(2, 0, 1) - expected).max() < CLOSE


@pytest.mark.parametrize(("height", "width", "tile"), [(97, 150, 316), (1, 40, 572), (230, 33, 188 + 16)])
def test_any_size_is_scored_without_a_seam_tile_by_tile(page, height, width, tile):
    image = RNG.random((height, width), dtype=np.float32)
    run = """async ([height, width, tile, values]) => {
      const {layers} = await UNetInPage.network("u373");
      let tiles = 0;
      const image = {height, width, values: new Float32Array(bytes(values).buffer)};
      const scores = await UNetInPage.scores(image, layers, {tile, onTile: async () => tiles++});
      return [tiles, text(scores)];
    }"""
    tiles, scores = page.evaluate(run, [height, width, tile, as_text(image.tobytes())])
    expected = up.predict_scores(up.load_network("u373"), image, progress=False)
    assert np.abs(numbers(scores).reshape(height, width, 2).transpose(2, 0, 1) - expected).max() < CLOSE
    assert tiles == -(-height // ((tile - 184) // 16 * 16)) * -(-width // ((tile - 184) // 16 * 16))


@pytest.mark.parametrize(
    ("old", "new"), [((52, 70), (26, 35)), ((26, 35), (52, 70)), ((31, 17), (9, 40)), ((5, 1), (2, 3))]
)
def test_images_are_resized_as_in_python(page, old, new):
    image = RNG.random(old, dtype=np.float32)
    run = """([height, width, values, size]) =>
      text(UNetInPage.resized({height, width, values: new Float32Array(bytes(values).buffer)}, size).values)"""
    shown = numbers(page.evaluate(run, [*old, as_text(image.tobytes()), new])).reshape(new)
    np.testing.assert_allclose(shown, resize_image(image[None], new)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("pixels", "how"),
    [(GREY, "none"), (DEEP, "none"), (DEEP // 16, "percentile"), (GREY // 8 + 90, "percentile")],
)
def test_grey_values_are_normalised_as_in_python(page, pixels, how):
    settings = read_network("u373").net.images
    assert choose_normalisation(None, settings, range_of(pixels)) == how
    run = """async file => {
      const {settings} = await UNetInPage.network("u373");
      const shown = UNetInPage.normalised(await UNetInPage.readImage(bytes(file).buffer, "x"), settings);
      return [shown.how, text(shown.values)];
    }"""
    chosen_how, values = page.evaluate(run, as_text(png(pixels)))
    assert chosen_how == how
    expected = normalised(pixels, how, black=settings.black, white=settings.white)
    np.testing.assert_allclose(numbers(values).reshape(expected.shape), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        pytest.param("png", png(GREY), id="png 8"),
        pytest.param("png", png(DEEP), id="png 16"),
        pytest.param("png", png(COLOUR), id="png colour"),
        pytest.param("png", png(np.stack([GREY, GREY, GREY, 255 - GREY], axis=-1)), id="png grey as colour, alpha"),
        pytest.param("jpg", imagecodecs.jpeg8_encode(GREY, level=95), id="jpeg"),
        pytest.param("tif", tiff(GREY), id="tiff 8"),
        pytest.param("tif", tiff(DEEP), id="tiff 16"),
        pytest.param("tif", tiff(DEEP, byteorder=">"), id="tiff 16 big-endian"),
        pytest.param("tif", tiff(DEEP, compression="lzw", predictor=True), id="tiff lzw"),
        pytest.param("tif", tiff(DEEP, compression="lzw", rowsperstrip=7, byteorder=">"), id="tiff strips"),
        pytest.param("tif", tiff(GREY, compression="adobe_deflate"), id="tiff deflate"),
        pytest.param("tif", tiff(GREY, photometric="palette", colormap=PALETTE), id="tiff palette"),
        pytest.param("tif", tiff(DEEP, tile=(32, 32)), id="tiff tiles"),
        pytest.param("tif", tiff(COLOUR, photometric="rgb"), id="tiff colour"),
        pytest.param("tif", tiff(GREY, photometric="miniswhite"), id="tiff 0 is white"),
        pytest.param("tif", tiff(DEEP / np.float32(65535)), id="tiff float"),
        pytest.param("tif", tiff(DEEP / np.float32(65535), byteorder=">"), id="tiff float big-endian"),
        pytest.param("tif", tiff(np.stack([DEEP, 9 * DEEP]), imagej=True, metadata={"axes": "TYX"}), id="imagej stack"),
    ],
)
def test_files_are_read_as_python_reads_them(page, tmp_path, ending, content):
    path = tmp_path / f"image.{ending}"
    path.write_bytes(content)
    expected = next(grey_frames(describe(path)))
    run = """async file => {
      const {values, height, width, full} = await UNetInPage.readImage(bytes(file).buffer, "x");
      return [height, width, full, text(values)];
    }"""
    height, width, full, values = page.evaluate(run, as_text(content))
    assert (height, width, full) == (*expected.shape, describe(path).full)
    shown = numbers(values).reshape(expected.shape)
    np.testing.assert_allclose(shown, expected, rtol=1e-6, atol=2 if ending == "jpg" else 0)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.png", b"cells of Tuesday", "is no TIFF, PNG or JPEG"),
        ("nothing.tif", b"", "is empty"),
        ("cut.png", png(DEEP)[:2000], "cannot be read as PNG"),
        ("cut.jpg", imagecodecs.jpeg8_encode(GREY)[:900], "it is cut"),
        ("cut.tif", tiff(DEEP)[:2000], "cannot be read as TIFF"),
        ("big.tif", tiff(GREY, bigtiff=True), "BigTIFF"),
        ("labels.tif", tiff(GREY.astype(np.int32)), "32 bits"),
        ("signed.tif", tiff(GREY.astype(np.int16)), "16 bits (format 2)"),
        ("packed.tif", tiff(GREY, compression="packbits"), "PackBits"),
        ("zipped.tif", tiff(GREY, compression="zstd"), "50000"),
        ("two.tif", tiff(np.stack([GREY, GREY], axis=-1), planarconfig="contig"), "2 channels that are no colours"),
        ("planes.tif", tiff(np.moveaxis(COLOUR, -1, 0), photometric="rgb"), "one behind the other"),
    ],
)
def test_a_file_that_is_no_image_for_it_is_named_with_a_remedy(page, name, content, words):
    chosen(page, content, name)
    page.wait_for_selector("#unet-status.failed")
    said = page.inner_text("#unet-status")
    assert said.startswith(name)
    assert words in said
    assert "Fiji" in said


def test_one_click_finds_the_cells_of_the_generated_image(fresh):
    fresh.select_option("#unet-network", "u373")
    fresh.click("#unet-example")
    said = found(fresh)
    image = example_image("u373")
    name, mask = downloaded(fresh, "#unet-mask")
    cells = imagecodecs.png_decode(mask)
    assert name == "generated-u373_mask.png"
    assert cells.dtype == np.uint16
    assert same_cells(cells, image, "u373")
    assert said.startswith(f"{cells.max()} cells in generated-u373.png")
    name, table = downloaded(fresh, "#unet-csv")
    assert name == "generated-u373_cells.csv"
    assert table.decode() == as_csv(table_rows("generated-u373", cells, image))
    rows = [row.split("\t") for row in fresh.inner_text("#unet-cells").splitlines()]
    assert [int(row[1]) for row in rows] == np.bincount(cells.ravel())[1:].tolist()
    painted = fresh.evaluate(
        "() => { const c = document.getElementById('unet-canvas'); return [c.width, c.height, c.ariaLabel] }"
    )
    assert painted == [696, 520, f"generated-u373.png with {cells.max()} cells outlined"]


def test_threshold_and_smallest_cell_are_those_of_segment(fresh):
    image = example_image("u373")
    chosen(fresh, png(image), "a.png")
    found(fresh)
    fresh.click("#unet-in-page summary")
    probability = predict_probability(up.load_network("u373"), image, scale=0.5, progress=False)
    for threshold, size in ((0.9, 500), (0.5, 3000), (0.2, 0)):
        fresh.fill("#unet-threshold", str(threshold))
        fresh.fill("#unet-size", str(size))
        expected = up.instances(probability, threshold=threshold, min_size=size).max()
        assert fresh.inner_text("#unet-status").startswith(f"{expected} cell")


def test_a_diameter_changes_the_scale_as_in_segment(fresh):
    image = example_image("u373")[::2, ::2]  # cells of half the size
    fresh.click("#unet-in-page summary")
    fresh.fill("#unet-diameter", "34.45")
    chosen(fresh, png(image), "half.png")
    said = found(fresh)
    expected = up.segment(image, read_network("u373"), diameter=34.45)
    assert said.startswith(f"{expected.max()} cell")


def test_an_image_of_another_kind_brings_a_warning(fresh):
    chosen(fresh, png(GREY), "noise.png")
    found(fresh)
    assert "differs from the network's training images" in fresh.inner_text("#unet-notes")


def test_several_files_at_once_are_refused(fresh):
    files = [{"name": name, "mimeType": "image/png", "buffer": png(GREY)} for name in ("a.png", "b.png")]
    fresh.evaluate("() => document.getElementById('unet-file').multiple = true")
    fresh.set_input_files("#unet-file", files)
    fresh.wait_for_selector("#unet-status.failed")
    assert "One image at a time" in fresh.inner_text("#unet-status")


def test_nothing_is_loaded_before_it_is_asked_for_and_nothing_from_elsewhere(fresh):
    requested = []
    fresh.on("request", lambda request: requested.append(request.url))
    fresh.reload()
    assert sorted(url.rsplit("/", 1)[1] for url in requested) == ["networks.js", "page.js", "x.html"]
    fresh.click("#unet-example")
    found(fresh)
    assert any(url.endswith("network-u373.js") for url in requested)
    assert not [url for url in requested if not url.startswith(("file://", "blob:"))]
    assert not any("dic-hela" in url for url in requested)


def test_an_image_is_dropped(fresh):
    fresh.evaluate(DROP, as_text(png(example_image("u373")[:200, :200])))
    assert "dropped.png" in found(fresh)


def test_a_new_file_hides_the_cells_of_the_one_before_at_once(fresh):
    chosen(fresh, png(GREY), "first.png")
    found(fresh)
    assert fresh.evaluate(DROP, as_text(png(GREY)))  # in the same turn: nothing older can be taken for its result
    assert "dropped.png" in found(fresh)


def test_the_keyboard_alone_is_enough(fresh):
    stops = []
    while not stops or stops[-1] != "unet-example":
        fresh.keyboard.press("Tab")
        stops.append(fresh.evaluate("() => document.activeElement.id"))
    assert stops == ["unet-network", "unet-file", "unet-example"]
    fresh.keyboard.press("Enter")
    found(fresh)


def test_work_is_stopped(fresh):
    chosen(fresh, png(np.tile(GREY, (20, 20))), "large.png")
    fresh.wait_for_function("() => document.getElementById('unet-progress').value > 0")  # a first tile is done
    fresh.evaluate("() => document.getElementById('unet-stop').click()")
    assert fresh.inner_text("#unet-status") == "Stopped."
    assert fresh.locator("#unet-found").is_hidden()


def test_a_browser_without_webassembly_is_told_so(browser, site):
    page = browser.new_page()
    page.add_init_script("delete window.WebAssembly")
    page.goto(site.as_uri())
    page.click("#unet-example")
    page.wait_for_selector("#unet-status.failed")
    assert "WebAssembly switched off" in page.inner_text("#unet-status")
    assert "unet-paper segment" in page.inner_text("#unet-status")
    page.close()


def test_a_network_that_did_not_come_along_is_named(fresh):
    fresh.evaluate(
        "() => UNetInPage.networks[0].name = document.getElementById('unet-network').options[0].value = 'lost'"
    )
    fresh.click("#unet-example")
    fresh.wait_for_selector("#unet-status.failed")
    assert "network-lost.js is missing" in fresh.inner_text("#unet-status")


def test_a_page_without_its_networks_says_so(browser, site):
    page = browser.new_page()
    page.route("**/networks.js", lambda route: route.abort())
    page.goto(site.as_uri())
    assert "The networks did not come with this page" in page.inner_text("#unet-in-page")
    page.close()


@needs_sequences
def test_a_frame_of_the_challenge_has_the_cells_that_python_finds(fresh):
    path = REAL / "ctc" / "PhC-C2DH-U373" / "02" / "t010.tif"
    fresh.select_option("#unet-network", "u373")
    chosen(fresh, path.read_bytes(), path.name)
    assert path.name in found(fresh)
    mask = imagecodecs.png_decode(downloaded(fresh, "#unet-mask")[1])
    assert mask.max() > 3
    assert same_cells(mask, tifffile.imread(path), "u373")


@pytest.mark.book
def test_axe_finds_nothing_in_the_full_run_where_cells_were_found(built_book, browser):
    page = opened(browser.new_page(), built_book.html / "book" / "your_images.html")
    page.set_default_timeout(60_000)
    page.click("#unet-example")
    found(page)
    page.click("#unet-in-page summary")
    assert list(violations(page)) == []
    page.close()
