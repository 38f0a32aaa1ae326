"""Scores, outlines and tables of own cells, on images small enough to count by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from unet_paper.cli import main
from unet_paper.own_images.outlines import as_rois, geojson_lines, outlines, overlay, table_rows
from unet_paper.own_images.scoring import as_csv, as_table, score_cells, score_files

TRUTH = np.zeros((6, 12), int)
TRUTH[1:3, 1:5], TRUTH[1:3, 7:11] = 1, 2  # two cells of 8 px


def found(*columns: tuple[int, int]) -> np.ndarray:
    cells = np.zeros_like(TRUTH)
    for number, (left, right) in enumerate(columns, start=1):
        cells[1:3, left:right] = number
    return cells


def test_scores_by_hand():
    (perfect, _), (half, _), (merged, _), (empty, _) = (
        score_cells([TRUTH], [result]) for result in (found((1, 5), (7, 11)), found((1, 4)), found((1, 11)), found())
    )
    assert perfect[1:] == (2, 2, 1.0, 1.0, 1.0, 0, 0, 0)
    assert half[1:] == (2, 1, 0.75 / 2, 0.5, 2 / 3, 0, 1, 0)  # 6 of 8 px of one cell, the other missed
    assert merged[1:] == (2, 1, pytest.approx(8 / 20), 1 - 5 / 20, 0.0, 1, 0, 0)
    assert empty[1:] == (2, 0, 0.0, 0.0, 0.0, 0, 2, 0)


def test_what_lies_where_nobody_annotated_does_not_count():
    reference = TRUTH.copy()
    reference[:, 6:] = -1
    score = score_cells([reference], [found((1, 5), (7, 11))])[0]
    assert score[1:] == (1, 1, 1.0, 1.0, 1.0, 0, 0, 0)


def test_all_cells_count_alike_over_images():
    scores = score_cells([TRUTH, np.where(TRUTH == 1, 1, 0)], [found((1, 5), (7, 11)), found()], names=["a", "b,c"])
    assert scores[-1].seg == pytest.approx(2 / 3)
    assert as_csv(scores).splitlines()[2].startswith("b_c,1,0,0.0")
    assert as_table(scores).splitlines()[-1].split()[:4] == ["all", "3", "2", "0.667"]


def test_score_command(tmp_path, capsys):
    for folder, name, pixels in (("cells", "a_mask.tif", found((1, 5))), ("truth", "a.tif", TRUTH)):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / name, pixels.astype(np.uint16))
    arguments = [str(tmp_path / "cells"), str(tmp_path / "truth"), "--csv", str(tmp_path / "scores.csv")]
    assert main(["score", *arguments]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1:] == ["2", "1", "0.500", "0.500", "0.667", "0", "1", "0"]
    assert (tmp_path / "scores.csv").read_text().startswith("image,cells,found,SEG,DET,F1,merged,missed,extra\na,2,1")


def test_score_replaces_no_mask_and_looks_for_the_folder_first(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "a.tif", TRUTH.astype(np.uint16))
    before = (tmp_path / "a.tif").read_bytes()
    for target, told in (
        ("a.tif", "may be an image to be scored"),
        ("no/scores.csv", "no is no folder; create it first"),
    ):
        assert main(["score", str(tmp_path), str(tmp_path), "--csv", str(tmp_path / target)]) == 2
        printed = capsys.readouterr()
        assert told in printed.err
        assert printed.out == ""
    assert (tmp_path / "a.tif").read_bytes() == before


@pytest.mark.parametrize("binary", ["cells", "truth"])
def test_one_value_for_all_cells_means_patches_on_either_side(tmp_path, binary):
    for folder in ("cells", "truth"):
        (tmp_path / folder).mkdir()
        pixels = 255 * (TRUTH > 0) if folder == binary else TRUTH
        tifffile.imwrite(tmp_path / folder / "a.tif", pixels.astype(np.uint8))
    assert score_files(tmp_path / "cells", tmp_path / "truth")[-1][1:4] == (2, 2, 1.0)


def test_evaluate_points_to_score(tmp_path, capsys):
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", TRUTH.astype(np.uint16))
    assert main(["evaluate", str(tmp_path / "a.tif"), str(tmp_path / "b.tif")]) == 2
    assert "`unet-paper score MASKS REFERENCE` compares masks of cells" in capsys.readouterr().err


def test_an_outline_encloses_the_pixels_of_its_cell():
    (first, second) = outlines(TRUTH)
    assert (first.cell, second.cell) == (1, 2)
    x, y = first.points.T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2  # shoelace formula
    assert (x.min(), x.max(), y.min(), y.max()) == (1, 5, 1, 3)
    assert area == pytest.approx(8 - 4 * 0.125)  # the corners are cut


def test_an_outline_is_never_that_of_a_hole():
    """A ring of one pixel whose hole is a comb: its edge is longer than the outer one."""
    cell = np.zeros((9, 13), int)
    cell[1:8, 1:12] = 1
    cell[2:7, 2:11:2], cell[2, 2:11] = 0, 0
    (outline,) = outlines(cell)
    x, y = outline.points.T
    assert (x.min(), x.max(), y.min(), y.max()) == (1, 12, 1, 8)


def test_geojson_is_closed_rings():
    features = json.loads("\n".join(geojson_lines(outlines(TRUTH))))["features"]
    rings = [feature["geometry"]["coordinates"][0] for feature in features]
    assert [feature["properties"]["name"] for feature in features] == ["1", "2"]
    assert all(ring[0] == ring[-1] for ring in rings)


def test_imagej_reads_the_rois():
    roifile = pytest.importorskip("roifile", reason="an optional extra: pip install --editable .[images]")
    (name, content), _ = as_rois(TRUTH)
    roi = roifile.ImagejRoi.frombytes(content)
    assert (name, roi.roitype) == ("0001.roi", roifile.ROI_TYPE.POLYGON)
    np.testing.assert_allclose(roi.coordinates(), next(outlines(TRUTH)).points)


def test_table():
    grey = np.where(TRUTH == 2, 200, 10)
    rows = table_rows("a", TRUTH, grey, pixel_size=(0.5, 0.25))
    assert rows == [("a", 1, 8, "1", "1.50", "2.50", "10", ""), ("a", 2, 8, "1", "1.50", "8.50", "200", "")]


def test_overlay_keeps_the_background_and_marks_cells():
    grey = np.tile(np.arange(12), (6, 1))
    plain, drawn = overlay(grey, np.zeros_like(TRUTH)), overlay(grey, TRUTH, reference=TRUTH)
    np.testing.assert_array_equal(drawn[TRUTH == 0], plain[TRUTH == 0])
    assert (drawn[TRUTH > 0] == 255).all()  # cells of two rows are all edge
    assert drawn.dtype == np.uint8
