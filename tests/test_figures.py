"""Figures state what they are given: the drawing of Fig. 1 carries the numbers of the live network."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from unet_paper import UNet
from unet_paper.analysis.tracing import trace
from unet_paper.figures.architecture import plot_architecture, plot_totals, plot_window
from unet_paper.figures.cell_tracking import (
    outline_cells,
    plot_cells,
    plot_lifelines,
    plot_mergers,
    plot_settled,
    plot_steps,
    plot_targets,
    plot_tracked,
)
from unet_paper.figures.comparisons import plot_distance, plot_gains
from unet_paper.figures.data import plot_neighbours
from unet_paper.figures.em_segmentation import plot_largest_mergers, plot_thickness
from unet_paper.figures.gpu_training import plot_stages, plot_wall_time
from unet_paper.figures.introduction import ANCESTORS, plot_ancestors, plot_operations, plot_windows
from unet_paper.figures.metrics import plot_curves, plot_thinning
from unet_paper.figures.overlap_tile import plot_corner, plot_phases, plot_tiling
from unet_paper.figures.style import COLOURS, coloured
from unet_paper.figures.training import plot_rates, plot_running_averages, plot_signals

FIGURE_1 = [  # channels × side², as the paper's figure has them, in the order of the forward pass
    "1 × 572²", "64 × 570²", "64 × 568²", "64 × 284²", "128 × 282²", "128 × 280²", "128 × 140²", "256 × 138²",
    "256 × 136²", "256 × 68²", "512 × 66²", "512 × 64²", "512 × 32²", "1024 × 30²", "1024 × 28²",
    "1024 × 56²", "512 × 54²", "512 × 52²", "512 × 104²", "256 × 102²", "256 × 100²", "256 × 200²", "128 × 198²",
    "128 × 196²", "128 × 392²", "64 × 390²", "64 × 388²", "2 × 388²",
]  # fmt: skip


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def sizes_drawn(net: UNet, n: int) -> list[str]:
    return [text for text in all_text(trace(net, n)) if "²" in text]


def all_text(layers: list) -> list[str]:
    return [text.get_text() for text in plot_architecture(layers).axes[0].texts]


def test_drawing_states_every_size_of_figure_1():
    assert sizes_drawn(UNet(), 572) == FIGURE_1


@pytest.mark.parametrize("settings", [{"depth": 3, "base_channels": 16}, {"depth": 1, "num_classes": 5}])
def test_drawing_follows_the_network(settings):
    net = UNet(**settings)
    n = net.legal_size_for(40)
    drawn = sizes_drawn(net, n)
    assert len(drawn) == 6 * net.depth + 4  # three bars a level and side, three at the bottom, and the score map
    assert drawn[0] == f"1 × {n}²"
    assert drawn[-1] == f"{net.num_classes} × {net.output_size(n)}²"
    assert any(text.startswith(f"{net.base_channels * 2**net.depth} × ") for text in drawn)


def test_release_variant_shows_its_192_joined_channels():
    assert "192 × 392²" in sizes_drawn(UNet(variant="release"), 572)
    assert "192 × 392²" not in sizes_drawn(UNet(), 572)


def test_bars_that_cross_keep_level():
    """A skip connection is a horizontal arrow: the map that is sent and the map that receives lie at one height."""
    labels = {text.get_text(): text.get_position() for text in plot_architecture(trace(UNet(), 572)).axes[0].texts}
    for sent, joined in [("64 × 568²", "128 × 392²"), ("128 × 280²", "256 × 200²"), ("512 × 64²", "1024 × 56²")]:
        assert labels[sent][1] == labels[joined][1]
        assert labels[sent][0] < labels[joined][0]


def test_dropout_is_marked_only_where_the_network_has_it():
    layers = trace(UNet(base_channels=2), 188)
    without = [layer for layer in layers if layer.kind != "dropout"]
    assert "dropout acts here" in all_text(layers)
    assert "dropout acts here" not in all_text(without)


def test_totals_are_stacked_to_the_sums():
    figure = plot_totals({"a": np.array([[1, 2], [3, 0]]), "b": np.array([[5, 5], [5, 5]])}, [572, 284])
    ends = [bar.get_x() + bar.get_width() for bar in figure.axes[0].patches]
    assert ends == [1, 2, 1 + 3, 2 + 0]


def test_tiles_are_drawn_where_they_lie():
    panels = {"one": ((-2, -2, 9), [(0, 0, 5), (0, 5, 5)]), "two": ((-2, -2, 9), [(0, 0, 5)])}
    axes = plot_tiling(np.zeros((14, 14)), 2, panels).axes[0]
    drawn = {(patch.get_x(), patch.get_y(), patch.get_width()) for patch in axes.patches}
    assert drawn == {(-0.5, -0.5, 10), (-2.5, -2.5, 9), (-0.5, -0.5, 5), (4.5, -0.5, 5)}
    assert [text.get_text() for text in axes.texts] == ["in: 9 px", "out: 5 px"]


def test_phases_on_the_grid_stand_apart():
    axes = plot_phases(np.ones(9), stride=4, marked=1).axes[0]
    on_grid = next(line for line in axes.lines if line.get_label() == "on the pooling grid")
    assert on_grid.get_xdata().tolist() == [0, 4, 8]


def test_operations_are_written_beside_their_bars():
    axes = plot_operations({"a": 3e12, "b": 2e11, "c": 5e10}).axes[0]
    assert [text.get_text() for text in axes.texts] == ["3,000", "200", "50"]


def test_every_ancestor_is_drawn_with_its_year():
    drawn = [text.get_text() for text in plot_ancestors().axes[0].texts]
    for entry in ANCESTORS:
        assert set(entry) <= set(drawn)
    assert "U-Net" in drawn


FRAME = np.linspace(0, 1, 36).reshape(6, 6)
CELLS = np.zeros((6, 6), dtype=np.int32)  # two cells that touch, and one that nobody annotated
CELLS[1:3, 1:5], CELLS[3:5, 1:5], CELLS[5, 0] = 1, 2, -1


def painted(axes, colour: str) -> np.ndarray:
    """Return where a panel is painted in one of the book's colours, (H, W) bool."""
    layers = [drawn for drawn in axes.images if to_hex(drawn.cmap(0)) == COLOURS[colour]]
    return ~np.logical_and.reduce([np.ma.getmaskarray(layer.get_array()) for layer in layers])


def test_targets_paint_what_is_ignored_and_nothing_else():
    figure = plot_targets(FRAME, CELLS, CELLS, np.ones((6, 6)))
    for panel in figure.axes[1:3]:
        np.testing.assert_array_equal(painted(panel, "quiet"), CELLS == -1)


def test_steps_paint_specks_in_the_colour_of_errors():
    dropped = np.zeros((6, 6), dtype=bool)
    dropped[0, 5] = True
    panel = plot_steps(FRAME, FRAME, dropped, np.maximum(CELLS, 0)).axes[2]
    np.testing.assert_array_equal(painted(panel, "error"), dropped)
    np.testing.assert_array_equal(panel.images[0].get_array(), (CELLS > 0) | dropped)


def test_every_annotated_cell_has_an_outline_of_its_own_even_if_it_touches():
    axes = plt.subplots()[1]
    outline_cells(axes, CELLS)
    assert len(axes.collections) == 2


def test_figure_4_has_a_row_per_sequence_with_the_annotation_on_the_right_only():
    figure = plot_cells({"one": (FRAME, CELLS, CELLS), "two": (FRAME, CELLS, np.zeros_like(CELLS))})
    assert [len(panel.collections) for panel in figure.axes] == [0, 2, 0, 0]


def test_merged_cells_stand_out_from_the_others():
    panel = plot_mergers(FRAME, CELLS, {"result": (np.maximum(CELLS, 0), [2])}).axes[1]
    np.testing.assert_array_equal(painted(panel, "error"), CELLS == 2)
    np.testing.assert_array_equal(painted(panel, "result"), CELLS == 1)


def test_tracks_are_numbered_where_they_are():
    texts = plot_tracked({"frame 0": (FRAME, np.maximum(CELLS, 0))}).axes[0].texts
    assert [(text.get_text(), text.get_position()) for text in texts] == [("1", (2.5, 1.5)), ("2", (2.5, 3.5))]


def test_lifelines_run_from_the_first_to_the_last_frame():
    table = np.array([[1, 0, 3, 0], [2, 2, 2, 1]])
    panel = plot_lifelines({"found": table}).axes[0]
    ends = [line.get_xdata().tolist() for line in panel.lines]
    assert ends == [[-0.4, 3.4], [1.6, 2.4]]
    assert panel.get_title() == "found: 2 tracks"


def test_signals_are_a_line_at_their_middle_and_a_band_from_low_to_high():
    band = np.array([[0.5, 0.25], [1.0, 0.5], [2.0, 1.0]])  # low, middle, high of two layers
    figure = plot_signals({"maps": {"PyTorch": band}, "layers": {"PyTorch": 2 * band}}, bottom=1)
    upper, lower = figure.axes
    assert upper.get_title() == "maps"  # without the style of the book, titles are centred
    assert upper.lines[0].get_ydata().tolist() == [1.0, 0.5]
    assert lower.lines[0].get_ydata().tolist() == [2.0, 1.0]
    heights = upper.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0.25, 2.0)


def test_rand_error_falls_towards_the_dashed_line_of_cells_that_have_met():
    figure = plot_thickness({"a network": [0.3, 0.2]}, [0, 3], {"a network": 0.1}, {"a network": 0.75})
    curve, dashed, beside, _ = figure.axes[0].lines
    assert (list(curve.get_xdata()), list(curve.get_ydata())) == ([0, 3], [0.3, 0.2])
    assert (dashed.get_linestyle(), set(dashed.get_ydata())) == ("--", {0.1})
    assert beside.get_ydata().tolist() == [0.25]  # 1 - V_Rand
    assert figure.axes[0].get_xticklabels()[-1].get_text() == r"$1 - V_\mathrm{Rand}$"


def test_a_settled_threshold_is_a_dot_on_the_solid_curve():
    network = {"threshold": [0.4, 0.5, 0.6], "learned": [0.8, 0.9, 0.9], "others": [0.6, 0.7, 0.5]}
    figure = plot_settled({"cells": {"seed 0": network | {"bet": (0.6, 0.5), "alike": (0.5, 0.7)}}})
    learned, others, bet, alike = figure.axes[0].lines
    assert (learned.get_linestyle(), others.get_linestyle(), others.get_label()) == ("--", "-", "seed 0")
    assert (bet.get_xydata().tolist(), alike.get_xydata().tolist()) == ([[0.6, 0.5]], [[0.5, 0.7]])


def test_a_merger_is_shown_in_a_square_that_stays_inside_of_the_image():
    image, merged = np.zeros((60, 80)), np.zeros((60, 80), dtype=bool)
    merged[50:60, 10:30] = True  # at the lower edge
    panels = plot_largest_mergers({"worst": (image, merged.astype(int), image, merged)}).axes
    assert [panel.images[0].get_array().shape for panel in panels] == [(44, 44)] * 3  # 20 px and 12 on either side
    joined = panels[1].images[1].get_array()
    assert (~joined.mask).sum() == merged.sum()  # all of the object is in view


def test_a_window_is_framed_round_its_pixel():
    layers = trace(UNet(base_channels=1), 204)
    axes = plot_window(np.zeros((204, 204)), layers[-1].windows, pixel=(3, 9)).axes[0]
    window, pixel, output = [(patch.get_x() + 0.5, patch.get_y() + 0.5, patch.get_width()) for patch in axes.patches]
    first, last = layers[-1].windows
    assert window == (first[9], first[3], last[9] - first[9] + 1)
    assert pixel == (92 + 9 - 1, 92 + 3 - 1, 3)  # three pixels wide, or it could not be seen
    assert output == (92, 92, 20)


def test_no_curve_is_left_out_without_a_word():
    curves = {str(number): number for number in range(5)}
    assert [(name, curve) for name, curve, _ in coloured(curves)] == list(curves.items())
    assert len({colour for *_, colour in coloured(curves)}) == 5
    with pytest.raises(ValueError, match=r"6 curves, but 5 colours that can be told apart: 0, 1, 2, 3, 4, 5"):
        coloured(curves | {"5": 5})


def test_a_floor_beyond_its_bar_is_drawn():
    axes = plot_stages({"slow": {"forward": 1.0}, "fast": {"forward": 1.0}}, {"slow": 0.5, "fast": 1.2}).axes[0]
    assert axes.get_xlim()[1] > 120
    assert [line.get_xdata()[0] for line in axes.lines] == [50, 120]


def test_many_runs_over_time_are_all_drawn():
    runs = {str(number): ([0.1, 1.0], [0.2, 0.1]) for number in range(7)}
    axes = plot_wall_time(runs, hours=10, goal=0.06).axes[0]
    assert {line.get_label() for line in axes.lines} >= set(runs)


def test_errors_over_distance_keep_one_colour_per_method_and_one_method_in_every_row():
    curve = [1, 2], [0.3, 0.1]
    groups = {
        "windows": {"N4": {"6-11": curve, "24-29": curve}, "N3": {"24-29": curve}},
        "U-Nets": {"U": {"6-11": curve}},
    }
    lines = [axes.lines for axes in plot_distance(groups, beside="U").axes]
    assert [[line.get_label() for line in panel] for panel in lines] == [["U", "N4", "N3"]] * 2 + [["U"]] * 2
    assert lines[0][1].get_color() == lines[1][1].get_color() != lines[1][2].get_color()
    drawn = [[len(line.get_xdata()) > 0 for line in panel] for panel in lines]
    assert drawn == [[True, True, False], [False, True, True], [True], [False]]
    assert plot_distance({"windows": {}}, beside="U").axes, "nothing is recorded"


def test_running_averages_are_drawn_over_their_gradients():
    axes = plot_running_averages(
        np.array([1.0, 3.0]), np.array([2.0, 2.0]), {"momentum 0.5": np.array([0.5, 1.75])}
    ).axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[1.0, 3.0], [2.0, 2.0], [0.5, 1.75]]


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_panels_show_as_there_are_things_to_draw(count):
    square, names = np.eye(9), [f"number {k}" for k in range(count)]
    figures = [
        plot_curves(np.linspace(0, 1, 11), {name: np.linspace(1, 0, 11) for name in names}),
        plot_thinning(dict.fromkeys(names, square.astype(int))),
        plot_windows([square] * count),
        plot_neighbours([square] * count, names),
        plot_rates(dict.fromkeys(names, np.ones(5))),
        plot_corner(dict.fromkeys(names, square), 2),
        plot_gains({name: {"one": (np.arange(3), np.ones(3))} for name in names}),
    ]
    assert [sum(panel.get_visible() for panel in figure.axes) for figure in figures] == [count] * len(figures)
