"""Challenge results: what is on disk, what the challenge's own checker and measures say, and what is refused."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.challenge_sequences import (
    challenge_finds_it_valid,
    challenge_measures,
    random_tracks,
    sequence,
    write_reference,
)
from tests.real_data import REAL, needs_sequences
from unet_paper.datasets import load_cell_tracking
from unet_paper.metrics import det, seg, tra
from unet_paper.tracking.challenge_format import mask_name, new_folder, read_tracks, write_mask, write_tracks
from unet_paper.tracking.linking import Tracks, link, within_field

TRACKS = link(sequence("1111.3", "22.4.3"), divisions=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_masks_and_table_by_hand(tmp_path):
    folder = write_tracks(tmp_path / "new" / "01_RES", TRACKS)
    assert names(folder) == ["mask000.tif", "mask001.tif", "res_track.txt"]
    assert (folder / "res_track.txt").read_text() == "1 0 0 0\n2 0 1 0\n3 1 1 1\n4 1 1 1\n"
    mask = tifffile.imread(folder / "mask001.tif")
    assert mask.dtype == np.uint16
    assert mask.tolist() == [[3, 3, 0, 4, 0, 2]]
    assert tifffile.TiffFile(folder / "mask001.tif").pages[0].compression == tifffile.COMPRESSION.LZW
    assert names(tmp_path / "new") == ["01_RES"]


def test_written_tracks_are_read_back(tmp_path):
    for folder in (write_tracks(tmp_path / "01_RES", TRACKS), write_reference(tmp_path / "01_GT", TRACKS) / "TRA"):
        tracks = read_tracks(folder)
        assert tracks.labels.dtype == tracks.table.dtype == np.int32
        np.testing.assert_array_equal(tracks.labels, TRACKS.labels)
        np.testing.assert_array_equal(tracks.table, TRACKS.table)


def test_three_digits_or_as_many_as_needed():
    assert [mask_name(7, last) for last in (0, 999, 1000, 12_345)] == ["mask007.tif"] * 2 + [
        "mask0007.tif",
        "mask00007.tif",
    ]


def test_a_sequence_without_cells(tmp_path):
    folder = write_tracks(tmp_path / "01_RES", link(np.zeros((2, 4, 5))))
    assert len(read_tracks(folder)) == 0


@pytest.mark.filterwarnings("ignore:Empty frame")
def test_the_challenges_checker_accepts_what_is_written(tmp_path):
    """Random sequences in which cells divide, and some in which they leave the field of interest and come back."""
    parents = 0
    for seed in range(8):
        tracks = random_tracks(np.random.default_rng(seed), frames=6)
        for border in (0, 4):
            inner = within_field(tracks, border)
            assert challenge_finds_it_valid(write_tracks(tmp_path / f"{seed}_{border}", inner))
            parents += (inner.table[:, 3] > 0).sum()
    assert parents > 10


@pytest.mark.filterwarnings("ignore:Label 1 in res_track but not in mask")
def test_the_challenges_checker_would_notice(tmp_path):
    folder = write_tracks(tmp_path / "01_RES", link(sequence("11.2", "11.2")))
    write_mask(folder / "mask001.tif", sequence("...2")[0])
    assert not challenge_finds_it_valid(folder)


def test_the_challenges_measures_of_a_written_sequence(tmp_path):
    """The first cell is half a cell too wide, the second is missed in the second frame."""
    reference, result = link(sequence("11.22..", "11.22..")), link(sequence("111.222", "111...."))
    folder = write_tracks(tmp_path / "01_RES", result)
    truth = write_reference(tmp_path / "01_GT", reference, segmentation=reference.labels)
    theirs = challenge_measures(folder, truth, "Valid", "SEG", "DET", "TRA")
    assert theirs["Valid"] == 1
    assert theirs["SEG"] == pytest.approx(seg(reference.labels, result.labels), abs=1e-12)
    assert theirs["SEG"] == pytest.approx((2 / 3 + 2 / 3) / 4, abs=1e-12)
    assert theirs["DET"] == pytest.approx(det(reference.labels, result.labels), abs=1e-12)
    assert theirs["TRA"] == pytest.approx(tra(reference, result), abs=1e-12)


@needs_sequences
@pytest.mark.parametrize("name", ["DIC-C2DH-HeLa", "PhC-C2DH-U373"])
def test_seg_of_silver_masks_against_gold(tmp_path, name):
    gold = load_cell_tracking(name, 2, root=REAL)
    silver = load_cell_tracking(name, 2, annotation="silver", frames=gold.frames[:3], root=REAL)
    reference = link(np.maximum(gold.labels[:3], 0))
    folder = write_tracks(tmp_path / "02_RES", link(silver.labels))
    truth = write_reference(tmp_path / "02_GT", reference, segmentation=reference.labels)
    ours = seg(reference.labels, silver.labels)
    assert ours == pytest.approx(challenge_measures(folder, truth, "SEG")["SEG"], abs=1e-12)
    assert 0.7 < ours < 1


@needs_sequences
def test_silver_masks_linked_and_judged_by_the_markers(tmp_path):
    """Frames 8 to 13 of DIC-HeLa 01, in which one cell divides."""
    reference = cut(read_tracks(REAL / "ctc/DIC-C2DH-HeLa/01_GT/TRA"), 8, 13)
    silver = load_cell_tracking("DIC-C2DH-HeLa", 1, annotation="silver", frames=range(8, 14), root=REAL)
    result = link(silver.labels)
    folder, truth = write_tracks(tmp_path / "01_RES", result), write_reference(tmp_path / "01_GT", reference)
    theirs = challenge_measures(folder, truth, "TRA", "DET", "Valid")
    assert theirs["Valid"] == 1
    assert theirs["TRA"] == pytest.approx(tra(reference, result), abs=1e-12)
    assert theirs["DET"] == pytest.approx(det(reference.labels, result.labels), abs=1e-12)
    assert tra(reference, result) > 0.9


@needs_sequences
@pytest.mark.parametrize("sequence", ["DIC-C2DH-HeLa/02", "PhC-C2DH-U373/02"])
def test_the_published_references_are_consistent(sequence):
    tracks = read_tracks(REAL / f"ctc/{sequence}_GT/TRA")
    assert (tracks.table[:, 3] > 0).any()
    assert tra(tracks, tracks) == 1


def cut(tracks: Tracks, first: int, last: int) -> Tracks:
    """Return the frames `first` to `last`, both inclusive, as a sequence of their own."""
    table = tracks.table[(tracks.table[:, 1] <= last) & (tracks.table[:, 2] >= first)].copy()
    table[:, 1:3] = np.clip(table[:, 1:3], first, last) - first
    table[~np.isin(table[:, 3], table[:, 0]), 3] = 0
    return Tracks(tracks.labels[first : last + 1], table)


def test_more_cells_than_16_bit_hold(tmp_path):
    labels = np.arange(70_000).reshape(1, 7, 10_000)
    with pytest.raises(ValueError, match=r"mask000\.tif would hold the label 69999; 16 bit hold 0 to 65535"):
        write_tracks(tmp_path / "01_RES", link(labels))
    assert names(tmp_path) == []
    with pytest.raises(ValueError, match="the label -1"):
        write_mask(tmp_path / "mask000.tif", np.array([[-1]]))


def test_inconsistent_tracks_are_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"inconsistent tracks: track 2 has no cell in frames 1"):
        write_tracks(tmp_path / "01_RES", Tracks(sequence("12", "11"), np.array([[1, 0, 1, 0], [2, 0, 1, 0]])))
    assert names(tmp_path) == []


def test_results_are_replaced_only_on_request(tmp_path):
    folder = tmp_path / "01_RES"
    folder.mkdir()
    write_tracks(folder, link(sequence("1", "1", "1")))  # an empty folder is no obstacle
    with pytest.raises(FileExistsError, match=r"01_RES is not empty \(mask000\.tif, \.\.\.\); name another.*--force"):
        write_tracks(folder, TRACKS)
    write_tracks(folder, TRACKS, force=True)
    assert names(folder) == ["mask000.tif", "mask001.tif", "res_track.txt"]
    assert len(read_tracks(folder)) == 4
    assert names(tmp_path) == ["01_RES"]


def test_what_is_no_result_is_never_replaced(tmp_path):
    (tmp_path / "01").mkdir()
    (tmp_path / "01/thesis.doc").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"01 holds thesis\.doc, which is no result"):
        write_tracks(tmp_path / "01", TRACKS, force=True)
    with pytest.raises(FileExistsError, match=r"thesis\.doc is a file"):
        write_tracks(tmp_path / "01/thesis.doc", TRACKS, force=True)
    assert (tmp_path / "01/thesis.doc").read_text() == "years of work"


def test_a_failure_leaves_the_old_result(tmp_path):
    folder = write_tracks(tmp_path / "01_RES", TRACKS)

    def interrupted() -> None:
        with new_folder(folder, force=True) as unfinished:
            (unfinished / "mask000.tif").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    np.testing.assert_array_equal(read_tracks(folder).labels, TRACKS.labels)
    assert names(tmp_path) == ["01_RES"]


def test_incomplete_results_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere holds neither res_track\.txt nor man_track\.txt"):
        read_tracks(tmp_path / "nowhere")
    folder = write_tracks(tmp_path / "01_RES", link(sequence(*["1"] * 6)))
    for number in (0, 3):
        (folder / f"mask00{number}.tif").unlink()
    with pytest.raises(FileNotFoundError, match="01_RES lacks the frames 0, 3; "):
        read_tracks(folder)
    (folder / "res_track.txt").unlink()
    with pytest.raises(FileNotFoundError, match="01_RES holds neither"):
        read_tracks(folder)


def test_results_without_masks_are_refused(tmp_path):
    (tmp_path / "res_track.txt").write_text("1 0 0 0\n")
    with pytest.raises(FileNotFoundError, match=r"holds no mask\*\.tif"):
        read_tracks(tmp_path)


@pytest.mark.parametrize("line", ["1 0 1", "1 0 1 0 0", "1 0 x 0", "1 0 -1 0", "1.0 0 1 0", "1 0 3000000000 0"])
def test_a_malformed_table_is_refused(tmp_path, line):
    folder = write_tracks(tmp_path / "01_RES", TRACKS)
    (folder / "res_track.txt").write_text(f"1 0 0 0\n{line}\n")
    with pytest.raises(ValueError, match=rf"res_track\.txt, line 2: '{line}'; needs four whole numbers"):
        read_tracks(folder)


def test_a_forged_table_costs_neither_memory_nor_a_long_message(tmp_path):
    folder = write_tracks(tmp_path / "01_RES", TRACKS)
    with open(folder / "res_track.txt", "a") as table:
        table.writelines(f"{number} 0 {20_000_000 + number} 0\n" for number in range(1000, 1100))
        table.write("x" * 100_000)
    with pytest.raises(ValueError, match="needs four whole numbers") as refused:
        read_tracks(folder)
    assert len(str(refused.value)) < 500
    lines = (folder / "res_track.txt").read_text().splitlines()[:-1]
    (folder / "res_track.txt").write_text("\n".join(lines))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"track 1000 has no cell in frames 0-20001000, .*; and 95 more") as refused:
        read_tracks(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(str(refused.value)) < 1000
    assert peak < 5e6


def test_masks_that_int32_cannot_hold_are_refused(tmp_path):
    folder = write_tracks(tmp_path / "01_RES", TRACKS)
    for path in folder.glob("mask*.tif"):
        tifffile.imwrite(path, np.full(TRACKS.labels.shape[1:], 2**32 - 1, np.uint32))
    with pytest.raises(ValueError, match="holds 4294967295, larger than int32"):
        read_tracks(folder)


def test_masks_that_contradict_the_table_are_refused(tmp_path):
    folder = write_tracks(tmp_path / "01_RES", TRACKS)
    (folder / "res_track.txt").write_text("1 0 0 0\n2 0 1 0\n")
    with pytest.raises(ValueError, match=r"01_RES: inconsistent tracks: frames 1 show the cell 3"):
        read_tracks(folder)


def test_damaged_and_differing_masks_are_refused(tmp_path):
    folder = write_tracks(tmp_path / "01_RES", TRACKS)
    write_mask(folder / "mask001.tif", np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"mask001\.tif is \(4, 4\) px uint16, mask000\.tif is \(1, 6\) px uint16"):
        read_tracks(folder)
    (folder / "mask001.tif").write_bytes((folder / "mask000.tif").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"mask001\.tif cannot be read as TIFF"):
        read_tracks(folder)
