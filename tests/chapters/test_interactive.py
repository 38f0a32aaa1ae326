"""The interactive figures, each moved by keyboard and by pointer in a browser: it shows what Python computes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import build
import nbformat
import numpy as np
import pytest
import sphinx_book_theme
import torch
from browser import launch, needs_chromium, number_controls, opened, tab_stops, violations
from harness import BOOK, chapters
from playwright.sync_api import Browser, Page, sync_playwright

import unet_paper as up
from unet_paper.figures import interactive
from unet_paper.figures.style import COLOURS

pytestmark = [
    pytest.mark.book,
    needs_chromium,
]
SCRIPTS = BOOK / "_static" / "interactive"
NAMES = sorted({path.stem for path in SCRIPTS.glob("*.js")} - {"common"})
THEMES = Path(sphinx_book_theme.__file__).parents[1]
STYLES = [
    THEMES / "pydata_sphinx_theme/theme/pydata_sphinx_theme/static/styles/theme.css",
    THEMES / "pydata_sphinx_theme/theme/pydata_sphinx_theme/static/styles/pydata-sphinx-theme.css",
    THEMES / "sphinx_book_theme/theme/sphinx_book_theme/static/styles/sphinx-book-theme.css",
    BOOK / "_static" / "book.css",
    SCRIPTS / "interactive.css",
]
PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>A figure</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{styles}
<script>
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.dataset.theme = dark.matches ? "dark" : "light";
dark.addEventListener("change", follow);
follow();
</script>
<body><main class="bd-content"><article class="bd-article" style="padding: 1rem"><h1>A figure</h1>{block}
<figure id="fig-play"><img alt="The still picture of this figure" width="80" height="60" src="data:image/svg+xml,
<svg xmlns='http://www.w3.org/2000/svg'/>"><figcaption><p>What to try.</p></figcaption></figure></article></main>"""


@dataclass
class Shown:
    """One interactive figure on an open page."""

    page: Page
    requests: list[str]

    @property
    def numbers(self) -> dict[str, float]:
        both = "all => all.map(element => [element.dataset.number, Number(element.textContent)])"
        return dict(self.page.eval_on_selector_all("[data-number]", both))

    def press(self, slider: str, key: str, times: int = 1) -> None:
        self.page.focus(f"input[name={slider}]")
        for _ in range(times):
            self.page.keyboard.press(key)

    def value(self, slider: str) -> float:
        return float(self.page.input_value(f"input[name={slider}]"))

    def drag_slider(self, slider: str, share: float) -> None:
        """Press the pointer down on a slider and move it to a share of its length."""
        self.drag(self.page.locator(f"input[name={slider}]").bounding_box(), (0.5, 0.5), (share, 0.5))

    def drag(self, box: dict[str, float], start: tuple[float, float], end: tuple[float, float]) -> None:
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        self.page.mouse.move(*places[1], steps=3)
        self.page.mouse.up()

    def picture(self, number: int) -> np.ndarray:
        """Return (H, W, 3) uint8, what a canvas shows."""
        shown = "c => [c.width, c.height, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]"
        width, height, values = self.page.locator("canvas").nth(number).evaluate(shown)
        return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]


@pytest.fixture(scope="module")  # not longer: its event loop would be in the way of the chapters' kernels
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, launch(playwright) as browser:
        yield browser


@pytest.fixture(scope="module")
def show(browser, tmp_path_factory) -> Callable[[str], Shown]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "_static").symlink_to(BOOK / "_static")
    (folder / "book").mkdir()
    page, requests = browser.new_page(viewport={"width": 1280, "height": 900}), []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: pytest.fail(str(error)))

    def shown(name: str) -> Shown:
        requests.clear()
        opened(page, written(folder / "book", name)).set_viewport_size({"width": 1280, "height": 900})
        return Shown(page, requests)

    return shown


def written(folder: Path, name: str) -> Path:
    styles = "".join(f'<link rel="stylesheet" href="{path.as_uri()}">' for path in STYLES)
    block = interactive.block(name, DATA[name](), figure="fig-play")
    path = folder / f"{name}.html"
    path.write_text(PAGE.format(styles=styles, block=block))
    return path


# The figures' data, small.
RNG = np.random.default_rng(0)
SMOOTH = np.clip(up.resizing.resize_image(RNG.random((1, 9, 9)).astype(np.float32), (64, 64))[0], 0, 1)
LABELS = np.zeros((40, 48), np.int32)
LABELS[2:18, 3:20], LABELS[4:30, 24:44], LABELS[21:38, 5:21], LABELS[:, 46:] = 1, 2, 3, -1
CELLS = np.ones((64, 64), bool)
CELLS[:, 30:33] = CELLS[20:22] = False
MAP = np.rint(255 * np.clip(0.55 * CELLS + 0.5 * SMOOTH, 0, 1)) / 255  # numbers that 8 bits hold
ERRORS = {"warping error": "warping_error", "Rand error": "rand_error", "pixel error": "pixel_error"}
NARROW = up.UNet(base_channels=2)
SIZES = range(188, 700, 16)
FLOP = {n: up.analysis.forward_flop(NARROW, n) for n in SIZES}
KEPT = {n: up.analysis.kept_bytes(NARROW, n) for n in SIZES}
SIGNAL = np.where(np.arange(300) < 150, 0.0, 1.0)
GRADIENTS = np.float32(SIGNAL + RNG.standard_normal(300))
DRAWS = 10 * RNG.standard_normal((3, 2, 3, 3)).round(3)
VIEWS = np.clip(MAP + 0.4 * RNG.standard_normal((7, 64, 64)), 0, 1)
SIDE = 256  # px, of the image that the elastic figure shows as 64


def gap_data() -> dict:
    distances = up.weight_maps.two_nearest_cells(LABELS)
    balance = up.weight_maps.class_weights(LABELS)
    return interactive.weight_gap(SMOOTH[:40, :48], LABELS, distances, balance, w0=10, sigma=5, probe=(10, 22))


def threshold_data() -> dict:
    scores, levels = up.metrics.em_scores(CELLS, MAP), up.metrics.THRESHOLDS
    warps = [up.metrics.warp(CELLS, MAP, level).errors for level in levels]
    errors = [np.stack([warp == up.metrics.warping.MERGE, warp == up.metrics.warping.SPLIT]) for warp in warps]
    return interactive.thresholds(
        SMOOTH, MAP, levels, {name: scores.curves[key] for name, key in ERRORS.items()}, errors
    )


def field_data() -> dict:
    image = up.resizing.resize_image(SMOOTH[None], (204, 204))[0]
    return interactive.receptive_field(
        image, 20, up.analysis.tracing.skips(up.analysis.trace(NARROW, 204)), pixel=(3, 5)
    )


DATA: dict[str, Callable[[], dict]] = {
    "weight_gap": gap_data,
    "thresholds": threshold_data,
    "receptive_field": field_data,
    "tile_cost": lambda: interactive.tile_cost(FLOP, KEPT, endless=500.0, border=92, stride=16),
    "elastic": lambda: interactive.elastic(SMOOTH, SIDE, up.augmentation.control_shares(3, 64), DRAWS),
    "momentum": lambda: interactive.momentum(GRADIENTS, SIGNAL, start=0.9),
    "rotations": lambda: interactive.rotations(SMOOTH, CELLS, VIEWS, [360 * k / 7 for k in range(7)]),
}


# Eq. 2
def expected_gap(row: int, column: int, w0: float, sigma: float) -> dict[str, float]:
    d1, d2 = (distance[row, column] for distance in up.weight_maps.two_nearest_cells(LABELS))
    weights = up.weight_map(LABELS, w0=w0, sigma=sigma)
    term = up.weight_maps.border_term(LABELS, w0=w0, sigma=sigma)
    numbers = {
        "weight": weights[row, column],
        "heaviest": weights.max(),
        "share": 100 * term[LABELS == 0].sum() / weights.sum(),
    }
    return numbers | ({"d1": d1, "d2": d2, "term": term[row, column]} if LABELS[row, column] == 0 else {})


def test_weights_follow_w0_and_sigma(show):
    shown = show("weight_gap")
    assert shown.numbers == pytest.approx(expected_gap(10, 22, 10, 5), abs=0.051)
    shown.press("sigma", "ArrowRight", 6)
    shown.press("w0", "End")
    assert shown.numbers == pytest.approx(expected_gap(10, 22, 20, 8), abs=0.051)
    shown.drag_slider("sigma", 0.2)
    assert shown.value("sigma") < 5
    assert shown.numbers == pytest.approx(expected_gap(10, 22, 20, shown.value("sigma")), abs=0.051)
    shown.page.get_by_role("button", name="the paper's values").click()
    assert shown.numbers == pytest.approx(expected_gap(10, 22, 10, 5), abs=0.051)


@pytest.mark.parametrize("place", [(19, 12), (10, 30), (5, 47)])  # a gap, a cell, a pixel that nobody annotated
def test_a_pointer_asks_for_the_weight_of_a_pixel(show, place):
    shown = show("weight_gap")
    share = ((place[1] + 0.5) / 48, (place[0] + 0.5) / 40)
    shown.drag(shown.page.locator("canvas").nth(1).bounding_box(), (0.5, 0.5), share)
    assert shown.numbers == pytest.approx(expected_gap(*place, 10, 5), abs=0.051)


# thresholds
def test_errors_and_marks_follow_the_threshold(show):
    shown, scores = show("thresholds"), up.metrics.em_scores(CELLS, MAP)
    shown.press("threshold", "Home")
    for k, level in enumerate(up.metrics.THRESHOLDS[:-1]):
        counts = up.metrics.warp(CELLS, MAP, level).counts
        errors = {"warping": "warping_error", "rand": "rand_error", "pixel": "pixel_error"}
        expected = {name: scores.curves[key][k] for name, key in errors.items()}
        assert shown.numbers == pytest.approx(
            expected | {"mergers": counts["merge"], "splits": counts["split"]}, abs=6e-4
        )
        shown.press("threshold", "ArrowRight")
    assert {warp["merge"] > 0 for warp in (up.metrics.warp(CELLS, MAP, t).counts for t in (0.3, 0.9))} == {True, False}


def test_the_map_is_cut_at_the_threshold(show):
    shown = show("thresholds")
    shown.drag_slider("threshold", 0.9)
    level = up.metrics.THRESHOLDS[int(shown.value("threshold"))]
    assert level > 0.8
    picture = shown.picture(1)
    plain = (picture == 255).all(axis=2) | (picture == [20, 24, 29]).all(axis=2)  # not marked
    assert plain.mean() > 0.5
    np.testing.assert_array_equal((picture[..., 2] == 255)[plain], np.greater(MAP, level)[plain])


# the receptive field
@pytest.mark.parametrize("column", [5, 16])
def test_a_pixel_sees_what_the_derivative_says(show, column):
    shown, row = show("receptive_field"), 3
    shown.press("column", "Home")
    shown.press("column", "ArrowRight", column)
    shown.press("level", "Home")
    for level, (seen, rows, columns, window) in enumerate(derivatives(row, column)):
        assert shown.numbers == {
            **{"rows": rows, "columns": columns, "apart": 2**level, "sees": seen},
            **{"height": window[0], "width": window[1]},
        }
        shown.press("level", "ArrowRight")


def derivatives(row: int, column: int) -> Iterator[tuple[int, int, int, tuple[int, int]]]:
    """Give for each contracting level what one position sees, how many count, and the window in the image; in px."""
    net, maps = up.UNet(base_channels=1, dropout=0.0).eval(), []
    net.pool = torch.nn.AvgPool2d(2)  # each of the four counts
    for weight in net.parameters():
        weight.data.fill_(0.5 if weight.ndim > 1 else 0.1)  # nothing is switched off by a ReLU
    image = (1 + torch.rand(1, 1, 204, 204, generator=torch.Generator().manual_seed(0))).requires_grad_()
    for stage in net.down:
        stage.register_forward_hook(lambda module, inputs, output: maps.append(output))
    score = net(image)[0, 0, row, column]
    grads = torch.autograd.grad(score, [image, *maps], retain_graph=True)
    height, width = extent(grads[0])
    for level, grad in enumerate(grads[1:]):
        first = torch.autograd.grad(maps[level][0, 0, 0, 0], image, retain_graph=True)[0]
        yield extent(first)[0], *extent(grad), (height, width)


def extent(grad: torch.Tensor) -> tuple[int, int]:
    seen = grad.abs().sum(dim=(0, 1)) > 0
    return tuple(int(np.ptp(np.flatnonzero(seen.any(dim=axis))) + 1) for axis in (1, 0))


def test_a_pointer_chooses_the_output_pixel(show):
    shown = show("receptive_field")
    shown.drag(shown.page.locator("canvas").bounding_box(), (0.5, 0.5), ((92 + 9.5) / 204, (92 + 14.5) / 204))
    assert (shown.value("row"), shown.value("column")) == (14, 9)
    first, last = up.analysis.trace(NARROW, 204)[-1].windows
    assert (shown.numbers["height"], shown.numbers["width"]) == tuple((last - first + 1)[[14, 9]])


def test_a_finger_chooses_it_too(browser, tmp_path):
    with browser.new_context(has_touch=True, viewport={"width": 390, "height": 800}) as context:
        page = context.new_page()
        (tmp_path / "_static").symlink_to(BOOK / "_static")
        (tmp_path / "book").mkdir()
        shown = Shown(opened(page, written(tmp_path / "book", "receptive_field")), [])
        box = page.locator("canvas").bounding_box()
        page.touchscreen.tap(
            *(box[at] + box[side] * (92 + 2.5) / 204 for at, side in (("x", "width"), ("y", "height")))
        )
        assert (shown.value("row"), shown.value("column")) == (2, 2)


# tiles
def expected_tiles(tile: int, side: int) -> dict[str, float]:
    grid = up.overlap_tile.tile_grid(NARROW, side, tile=tile)
    tiles = len(grid.starts) ** 2
    work = tiles * FLOP[grid.size]
    return {
        **{"tiles": tiles, "size": grid.size, "step": grid.step, "read": tiles * grid.size**2 / side**2},
        **{"gflop": work / 1e9, "times": work / (500 * side**2), "megabytes": KEPT[grid.size] / 1e6},
    }


def test_tiles_are_those_of_the_library(show):
    shown = show("tile_cost")
    assert shown.numbers == pytest.approx(expected_tiles(572, 512), abs=0.5)
    shown.press("tile", "Home")
    for steps, side in ((0, 512), (3, 704), (5, 448), (2, 1024)):
        shown.press("tile", "ArrowRight", steps)
        shown.press("side", "Home")
        shown.press("side", "ArrowRight", (side - 128) // 64)
        numbers = shown.numbers
        assert numbers == pytest.approx(expected_tiles(SIZES[int(shown.value("tile"))], side), abs=0.5)
        assert {
            numbers[key] == expected_tiles(SIZES[int(shown.value("tile"))], side)[key] for key in ("tiles", "step")
        } == {True}
    shown.drag_slider("tile", 0.7)
    assert shown.numbers == pytest.approx(expected_tiles(SIZES[int(shown.value("tile"))], 1024), abs=0.5)


# the elastic grid
def expected_elastic(vectors: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the smallest area, and the deformed image (64, 64) in grey values."""
    field = up.augmentation.displacement_field(torch.from_numpy(vectors)[None].double(), (64, 64))
    spacing = (SIDE - 1) / 63
    pixels = torch.from_numpy(np.indices((64, 64)).astype(float))
    (down_y, down_x), (right_y, right_x) = (np.gradient(part.numpy(), spacing) for part in field[0])
    areas = ((1 + down_y) * (1 + right_x) - down_x * right_y)[1:-1, 1:-1]
    source = up.augmentation.mirrored((pixels + field[0] / spacing)[None], (64, 64)).float()
    image = torch.from_numpy(interactive.grey(SMOOTH) / 255).float()[None, None]
    deformed = up.augmentation.read_between_pixels(image, source, interpolation="bilinear")[0, 0]
    return areas.min(), 255 * deformed.numpy()


def check_elastic(shown: Shown, vectors: np.ndarray) -> None:
    smallest, deformed = expected_elastic(vectors)
    assert shown.numbers["area"] == pytest.approx(smallest, abs=0.006)
    assert shown.numbers["std"] == pytest.approx(np.sqrt((vectors**2).mean()), abs=0.051)
    np.testing.assert_allclose(shown.picture(1)[..., 0], deformed, atol=1)


def test_arrows_bend_the_image_as_the_library_does(show):
    shown = show("elastic")
    check_elastic(shown, DRAWS[0])
    shown.page.get_by_role("button", name="next random draw").click()
    check_elastic(shown, DRAWS[1])
    shown.page.get_by_role("button", name="flat").click()
    np.testing.assert_array_equal(shown.picture(1)[..., 0], interactive.grey(SMOOTH))
    shown.press("point", "Home")
    shown.press("point", "ArrowRight", 5)  # the sixth: right end of the middle row
    shown.press("down", "ArrowRight", 20)
    shown.press("right", "ArrowLeft", 35)
    vectors = np.zeros((2, 3, 3))
    vectors[:, 1, 2] = 20, -35
    check_elastic(shown, vectors)
    assert (shown.numbers["down"], shown.numbers["right"]) == (20, -35)


def test_an_arrow_is_dragged_by_hand(show):
    shown = show("elastic")
    shown.page.get_by_role("button", name="flat").click()
    box = shown.page.locator("canvas").first.bounding_box()
    shown.drag(box, (0.5, 0.5), (0.5 + 30 * 63 / 255 / 64, 0.5 - 20 * 63 / 255 / 64))  # 30 px right, 20 px up
    assert shown.numbers["point"] == 5
    assert (shown.numbers["down"], shown.numbers["right"]) == pytest.approx((-20, 30), abs=1)
    vectors = np.zeros((2, 3, 3))
    vectors[:, 1, 1] = shown.numbers["down"], shown.numbers["right"]
    check_elastic(shown, vectors)


# momentum
def expected_momentum(m: float) -> dict[str, float]:
    position = torch.zeros(1, requires_grad=True)
    optimiser, steps = torch.optim.SGD([position], lr=1 - m, momentum=m), []
    for gradient in GRADIENTS:
        before, position.grad = position.item(), torch.tensor([gradient])
        optimiser.step()
        steps.append(before - position.item())
    spread = np.std(steps[75:150])
    late = next(iter(np.flatnonzero(np.array(steps[150:]) > 0.5)), np.nan)
    return {"share": 100 * (1 - m**100), "samples": (1 + m) / (1 - m), "spread": spread, "late": late}


def test_the_running_average_is_a_step_of_sgd(show):
    shown = show("momentum")
    for key, times in (("Home", 1), ("PageUp", 5), ("PageUp", 4), ("End", 1)):
        shown.press("momentum", key, times)
        expected = expected_momentum(shown.value("momentum"))
        assert shown.numbers == pytest.approx(expected, abs=0.51, nan_ok=True)
        assert shown.numbers["spread"] == pytest.approx(expected["spread"], abs=1e-3)
    shown.drag_slider("momentum", 0.6)
    assert 0.5 < shown.value("momentum") < 0.7
    assert shown.numbers == pytest.approx(expected_momentum(shown.value("momentum")), abs=0.51, nan_ok=True)
    shown.page.get_by_role("button", name="the paper's 0.99").click()
    assert shown.value("momentum") == up.PAPER.momentum


# the average over rotations
def expected_rotations(count: int) -> dict[str, float]:
    views = interactive.grey(VIEWS[:count]) / 255
    differs = [100 * ((view > 0.5) != CELLS).mean() for view in (views[-1], views.mean(axis=0))]
    spread = views.std(axis=0).mean()
    return {
        "degrees": 360 * (count - 1) / 7,
        "single": differs[0],
        "count": count,
        "mean": differs[1],
        "spread": spread,
    }


def test_maps_are_averaged_one_by_one(show):
    shown = show("rotations")
    for count in range(1, 8):
        assert shown.numbers == pytest.approx(expected_rotations(count), abs=0.51)
        assert shown.numbers["mean"] == pytest.approx(expected_rotations(count)["mean"], abs=0.006)
        shown.press("count", "ArrowRight")
    np.testing.assert_allclose(shown.picture(2)[..., 0], interactive.grey(VIEWS).mean(axis=0), atol=1)
    shown.drag_slider("count", 0.5)
    assert shown.numbers["count"] == 4
    shown.page.get_by_role("button", name="mark mistakes").click()
    marked = (shown.picture(2) == [int(COLOURS["error"][at : at + 2], 16) for at in (1, 3, 5)]).all(axis=2)
    np.testing.assert_array_equal(marked, (interactive.grey(VIEWS[:4]).mean(axis=0) / 255 > 0.5) != CELLS)


# all of them
@pytest.mark.parametrize("name", NAMES)
def test_it_takes_the_place_of_its_picture_and_asks_no_host(show, name):
    shown = show(name)
    assert shown.page.locator("figure .interactive output").is_visible()
    assert not shown.page.locator("figure img").is_visible()
    assert [url for url in shown.requests if not url.startswith(("file:", "data:"))] == []
    shown.page.emulate_media(media="print")
    assert shown.page.locator("figure img").is_visible()
    assert not shown.page.locator(".interactive").is_visible()
    shown.page.emulate_media(media="screen")


def test_without_javascript_the_picture_stays(browser, tmp_path):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(written(tmp_path, "momentum").as_uri())
        assert page.locator("figure img").is_visible()
        assert not page.locator(".interactive").is_visible()


@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_and_a_phone_needs_no_scrolling_sideways(show, name):
    shown = show(name)
    assert list(violations(shown.page)) == []
    shown.page.set_viewport_size({"width": 390, "height": 800})
    assert shown.page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("name", ["weight_gap", "rotations"])
def test_the_tab_key_reaches_every_control(show, name):
    page = show(name).page
    count = number_controls(page)
    stops = tab_stops(page)
    assert count > 0
    assert all(stop.named and stop.visible for stop in stops)
    assert sorted({stop.control for stop in stops} - {-2}) == list(range(count))


def test_colours_come_from_the_palette_of_the_book():
    scripts = {path.name: set(re.findall(r"#[0-9a-fA-F]{3,6}\b", path.read_text())) for path in SCRIPTS.iterdir()}
    assert {name for name, colours in scripts.items() if colours - {"#ffffff"}} == set()
    assert all(f"--{name}:{colour}" in interactive.block("x", {}, figure="y") for name, colour in COLOURS.items())


def test_each_script_is_short_and_has_a_function_and_a_test():
    assert set(DATA) == set(NAMES)
    for name in NAMES:
        assert callable(getattr(interactive, name))
        assert len((SCRIPTS / f"{name}.js").read_text().splitlines()) < 150


def test_more_than_fits_a_page_is_refused():
    with pytest.raises(ValueError, match=r"at most 150,000: crop"):
        interactive.block("x", {"image": np.zeros((400, 400), np.uint8)}, figure="y")


def test_data_cannot_end_their_script():
    assert interactive.block("x", {"text": "</script>"}, figure="y").count("</script>") == 3


def test_numbers_that_the_page_cannot_read_are_refused():
    with pytest.raises(TypeError, match="float64"):
        interactive.block("x", {"image": np.zeros(3)}, figure="y")


def test_a_committed_notebook_keeps_the_name_of_a_figure_and_not_its_data():
    data = {"text/html": "<div>", "text/plain": "<interactive figure: x>"}
    output = nbformat.v4.new_output("display_data", data, metadata={"interactive": "x"})
    assert build.text_only(output).data == {"text/plain": "<interactive figure: x>"}
    table = nbformat.v4.new_output("execute_result", {"text/html": "<table>"}, execution_count=1)
    assert build.text_only(table).data == {"text/html": "<table>"}


PLACES = re.compile(r'interactive\.show\(\s*"(\w+)".*?figure="([\w-]+)"', re.DOTALL)


@pytest.mark.parametrize("name", [path.stem for path in sorted(BOOK.glob("*.md")) if PLACES.search(path.read_text())])
def test_it_stands_in_its_figure_in_the_full_run(built_book, browser, name):
    with browser.new_page() as page:
        opened(page, built_book.html / "book" / f"{name}.html")
        for _, figure in PLACES.findall((BOOK / f"{name}.md").read_text()):
            assert page.locator(f"#{figure} .interactive output b").first.is_visible()
            assert not page.locator(f"#{figure} img").is_visible()


def test_every_figure_stands_in_one_chapter_beside_its_picture():
    shown = []
    for name in chapters():
        text = (BOOK / f"{name}.md").read_text()
        for script, figure in PLACES.findall(text):
            assert f"name: {figure}\n" in text
            shown.append(script)
    assert sorted(shown) == NAMES
