"""The commands `segment` and `track`: files in, challenge layout out, one clear line where that cannot be.

The network is made by hand: it calls a pixel a cell if it is brighter than 0.5, so every result is known.
"""

from __future__ import annotations

import re
from operator import attrgetter

import numpy as np
import pytest
import tifffile
import torch
from torch import nn

import unet_paper as up
from tests.challenge_sequences import challenge_finds_it_valid
from unet_paper.cli import main
from unet_paper.datasets import synthetic_cells
from unet_paper.model import UNet
from unet_paper.networks.image_settings import ImageSettings
from unet_paper.networks.library import TrainedNetwork, read_network, save_network
from unet_paper.own_images import applying
from unet_paper.tracking.challenge_format import read_tracks
from unet_paper.tracking.linking import link, within_field

CARD = {"name": "brightness", "task": "a test", "scale": 1.0, "data": "none", "licence": "MIT", "command": "none"}


@torch.no_grad()
def brightness_network() -> UNet:
    """Return a U-Net whose skip connection hands the grey value g on; its scores for cell are 40 g - 20."""
    net = UNet(base_channels=1, depth=1)
    for parameter in net.parameters():
        parameter.zero_()
    first, second, third, fourth = (
        m for block in (net.down[0], net.up[0]) for m in block.modules() if is_convolution(m)
    )
    third.weight[0, 1, 1, 1] = 1  # channel 0 comes from below, channel 1 over the skip connection
    for convolution in (first, second, fourth):
        convolution.weight[0, 0, 1, 1] = 1
    net.score.weight[:, 0, 0, 0], net.score.bias[:] = torch.tensor([-20.0, 20.0]), torch.tensor([10.0, -10.0])
    return net


def is_convolution(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "brightness.safetensors"
    save_network(path, brightness_network(), card=CARD | {"scores": {}})
    return str(path)


@pytest.fixture
def sequence(tmp_path):
    """Return a folder `01` of 3 frames, 40 x 60 px: a large cell moves right, a small one comes late, a speck stays."""
    frames = np.full((3, 40, 60), 20, np.uint8)
    for time, frame in enumerate(frames):
        frame[10:22, 5 + 4 * time : 17 + 4 * time] = 230  # 144 px
        frame[2:4, 50:52] = 250  # 4 px
    frames[1:, 28:36, 30:38] = 200  # 64 px
    (tmp_path / "01").mkdir()
    for time, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / f"01/t{time:03d}.tif", frame)
    return tmp_path / "01"


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_segment_names_masks_after_their_images(sequence, network, capsys):
    (sequence / "t001.tif").rename(sequence / "A01_s2_w1.tif")
    out = sequence.parent / "cells"
    assert main(["segment", str(sequence), str(out), "--network", network, "--min-size", "20"]) == 0
    images = ["A01_s2_w1", "t000", "t002"]
    assert names(out) == [f"{images[0]}_mask.tif", "cells.csv", "finished", "segment.json", *masks_of(images[1:])]
    for name in images:
        mask = tifffile.imread(out / f"{name}_mask.tif")
        expected = tifffile.imread(sequence / f"{name}.tif") > 127
        expected[2:4, 50:52] = False  # the speck is no larger than 20 px
        assert mask.dtype == np.uint16
        np.testing.assert_array_equal(mask > 0, expected)
    assert re.search(r"\n3 images, 5 cells, \d+\.\d s: .*cells\n", capsys.readouterr().out)


def masks_of(images: list[str]) -> list[str]:
    return [f"{name}_mask.tif" for name in images]


def test_segment_says_what_it_assumes(sequence, network, capsys):
    assert main(["segment", str(sequence), str(sequence.parent / "cells"), "--network", network]) == 0
    assumed = capsys.readouterr().out.splitlines()[:3]
    assert assumed == [
        "images: 3 in 3 files, the first is 40 x 60 px uint8",
        "grey values: 20-250 of 255; normalised by: none",
        "scale: 1 (the network's own; no pixel size known for both); cells have more than 500 px",
    ]


def test_segment_keeps_maps(sequence, network):
    out = sequence.parent / "cells"
    assert main(["segment", str(sequence), str(out), "--network", network, "--probability"]) == 0
    probability = tifffile.imread(out / "t000_probability.tif")
    grey = tifffile.imread(sequence / "t000.tif") / 255
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(20 - 40 * grey)), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "cells"),
    [
        ([], 0),  # no cell is larger than the authors' 500 px
        (["--min-size", "0"], 8),
        (["--min-size", "20", "--border", "16"], 3),  # the late cell lies outside of what is left
        (["--min-size", "20", "--threshold", "0.99999"], 3),  # grey value 200 is not that certain
        (["--min-size", "20", "--rotations", "4", "--flips"], 5),
        (["--min-size", "20", "--scale", "0.5"], 5),
        (["--min-size", "20", "--precision", "bfloat16"], 5),
    ],
)
def test_options(sequence, network, capsys, options, cells):
    assert main(["segment", str(sequence), str(sequence.parent / "cells"), "--network", network, *options]) == 0
    assert f"3 images, {cells} cells" in capsys.readouterr().out


def test_advice_where_nothing_is_found(sequence, network, capsys):
    for command in ("segment", "track"):
        assert main([command, str(sequence), str(sequence.parent / "out"), "--network", network, "--force"]) == 0
        summary, advice = capsys.readouterr().out.splitlines()[-2:]
        assert summary.startswith(("3 frames, 0 cells", "3 images, 0 cells"))
        assert advice.startswith("No cell has enough px above 0.5: try a smaller --min-size or --threshold")
    assert names(sequence.parent / "out/01_RES") == [
        "cells.csv",
        "mask000.tif",
        "mask001.tif",
        "mask002.tif",
        "res_track.txt",
    ]


def test_the_scale_comes_from_the_card(sequence, tmp_path, capsys):
    """At a hundredth of their size, all frames are one dark pixel: nothing is found."""
    path = tmp_path / "coarse.safetensors"
    save_network(path, brightness_network(), card=CARD | {"scores": {}, "scale": 0.01})
    arguments = [
        "segment",
        str(sequence),
        str(tmp_path / "cells"),
        "--network",
        str(path),
        "--min-size",
        "20",
        "--force",
    ]
    assert main(arguments) == 0
    assert main([*arguments, "--scale", "1"]) == 0
    assert re.findall(r"3 images, (\d) cells", capsys.readouterr().out) == ["0", "5"]


def test_track_writes_the_challenges_layout(sequence, network, capsys):
    assert main(["track", str(sequence), str(sequence.parent), "--network", network, "--min-size", "20"]) == 0
    folder = sequence.parent / "01_RES"
    assert names(folder) == ["cells.csv", "mask000.tif", "mask001.tif", "mask002.tif", "res_track.txt"]
    assert (folder / "res_track.txt").read_text() == "1 0 2 0\n2 1 2 0\n"
    assert challenge_finds_it_valid(folder)
    assert re.search(r"\n3 frames, 5 cells, 2 tracks, \d+\.\d s: .*01_RES\n", capsys.readouterr().out)


def test_track_takes_a_stack(sequence, network):
    stack = sequence.parent / "sequence.tif"
    frames = np.stack([tifffile.imread(path) for path in sorted(sequence.iterdir())])
    tifffile.imwrite(stack, frames, photometric="minisblack")
    assert main(["track", str(stack), str(sequence.parent / "out"), "--network", network, "--min-size", "20"]) == 0
    assert len(read_tracks(sequence.parent / "out/sequence_RES")) == 2


def test_track_links_before_it_leaves_out_the_border(sequence, network):
    """The cell is outside of the field at first; it is the same cell when it comes in."""
    arguments = [
        "track",
        str(sequence),
        str(sequence.parent),
        "--network",
        network,
        "--min-size",
        "20",
        "--border",
        "18",
    ]
    assert main(arguments) == 0
    assert read_tracks(sequence.parent / "01_RES").table.tolist() == [[1, 1, 2, 0]]


def test_track_links_masks(tmp_path):
    """Frames of generated cells that all move by 2 px, numbered anew in every frame, with gaps in the numbers."""
    still = synthetic_cells(1, (96, 120), style="phase", generator=np.random.default_rng(1)).labels[0]
    generator, largest = np.random.default_rng(0), int(still.max())
    (tmp_path / "masks").mkdir()
    for time in range(4):
        name = np.array([0, *generator.choice(60_000, largest, replace=False) + 1])
        tifffile.imwrite(
            tmp_path / f"masks/mask{time:03d}.tif", name[np.roll(still, 2 * time, axis=1)].astype(np.uint16)
        )
    assert main(["track", "--masks", str(tmp_path / "masks"), str(tmp_path)]) == 0
    tracks = read_tracks(tmp_path / "masks_RES")
    assert largest >= 2
    assert tracks.table.tolist() == [[number, 0, 3, 0] for number in range(1, largest + 1)]
    np.testing.assert_array_equal(tracks.labels, [np.roll(tracks.labels[0], 2 * time, axis=1) for time in range(4)])


def test_divisions_and_border_of_masks(tmp_path):
    masks = np.zeros((2, 6, 12), np.uint16)
    masks[0, 2:4, 1:8], masks[1, 2:4, 1:4], masks[1, 2:4, 5:8] = 9, 9, 4
    masks[:, 0, 0] = 1
    tifffile.imwrite(tmp_path / "sequence.tif", masks)
    assert (
        main(["track", str(tmp_path / "sequence.tif"), str(tmp_path), "--masks", "--divisions", "--border", "1"]) == 0
    )
    tracks, expected = read_tracks(tmp_path / "sequence_RES"), within_field(link(masks, divisions=True), 1)
    np.testing.assert_array_equal(tracks.table, expected.table)
    assert sorted(tracks.table[:, 3].tolist()) == [0, 2, 2]


def test_results_are_replaced_only_with_force(sequence, network, capsys):
    arguments = ["track", str(sequence), str(sequence.parent), "--network", network, "--min-size", "20"]
    assert [main(arguments), main(arguments), main([*arguments, "--force"])] == [0, 2, 0]
    assert "is not empty (cells.csv, ...); name another folder, or say --force" in capsys.readouterr().err


def test_segment_goes_on_and_refuses_other_settings(sequence, network, capsys):
    out = sequence.parent / "cells"
    arguments = ["segment", str(sequence), str(out), "--network", network, "--min-size", "20"]
    assert main(arguments) == 0
    (out / "finished/t001.csv").unlink()  # as if the run had been interrupted at the second image
    (out / "t001_mask.tif").write_bytes(b"half")
    before = (out / "t000_mask.tif").stat().st_mtime_ns
    assert main(arguments) == 0
    assert "2 of 3 images are done already" in capsys.readouterr().out
    assert tifffile.imread(out / "t001_mask.tif").max() == 2
    assert (out / "t000_mask.tif").stat().st_mtime_ns == before
    assert main([*arguments, "--threshold", "0.6"]) == 2
    assert "is from a run with another threshold; name another folder, or say --force" in capsys.readouterr().err
    assert main([*arguments, "--threshold", "0.6", "--force"]) == 0


@pytest.mark.parametrize("place", ["_write_one", "ResultFolder.begin"])
def test_masks_of_other_settings_are_never_taken_for_new_ones(sequence, network, capsys, monkeypatch, place):
    """The second run is interrupted after its first image, or when its settings have just been written down."""
    out = sequence.parent / "cells"
    arguments = ["segment", str(sequence), str(out), "--network", network, "--force", "--min-size"]
    assert main([*arguments, "20"]) == 0
    real = attrgetter(place)(applying)

    def work_and_stop(*given, **how):
        real(*given, **how)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"unet_paper.own_images.applying.{place}", work_and_stop)
        main([*arguments, "100"])
    capsys.readouterr()
    assert main([*arguments, "100"]) == 0
    assert "3 images, 3 cells" in capsys.readouterr().out
    assert [tifffile.imread(out / f"t00{n}_mask.tif").max() for n in range(3)] == [1, 1, 1]


def test_images_are_the_same_by_their_content_and_not_by_their_place(sequence, network, capsys):
    out = sequence.parent / "cells"
    options = [str(out), "--network", network, "--min-size", "20"]
    assert main(["segment", str(sequence), *options]) == 0
    moved = sequence.rename(sequence.parent / "moved")
    assert main(["segment", str(moved), *options]) == 0
    assert "3 of 3 images are done already" in capsys.readouterr().out
    tifffile.imwrite(moved / "t001.tif", np.zeros((40, 60), np.uint8))
    assert main(["segment", str(moved), *options]) == 2
    fix = "is from a run with another content of the images; name another folder, or say --force"
    assert fix in capsys.readouterr().err
    assert main(["segment", str(moved), *options, "--force"]) == 0
    assert tifffile.imread(out / "t001_mask.tif").max() == 0


@pytest.mark.parametrize(("other", "shape"), [("s_t001.tif", (40, 60)), ("s.tiff", (2, 40, 60))])
def test_two_files_never_write_one_mask(tmp_path, network, capsys, other, shape):
    (tmp_path / "images").mkdir()
    for name, size in (("s.tif", (2, 40, 60)), (other, shape)):
        tifffile.imwrite(tmp_path / "images" / name, np.zeros(size, np.uint8), photometric="minisblack")
    assert main(["segment", str(tmp_path / "images"), str(tmp_path / "out"), "--network", network]) == 2
    assert re.search(r"s\.tiff? and .* would both give s_t00\d_mask\.tif; rename one", capsys.readouterr().err)


@pytest.mark.parametrize(("diameter", "sizes"), [(5.4, None), (20.0, ("12", "50"))])
def test_the_size_of_cells_is_judged_at_the_scale_that_the_file_states(sequence, tmp_path, capsys, diameter, sizes):
    """Pixels of 0.4 µm, the network's have 1 µm: it sees cells of 12 px across as 5 px."""
    for path in sequence.iterdir():
        tifffile.imwrite(path, tifffile.imread(path), resolution=(25_000, 25_000), resolutionunit="CENTIMETER")
    images = ImageSettings(pixel_size=1.0, diameter=diameter, min_size=5)
    save_network(
        tmp_path / "net.safetensors", brightness_network(), card=CARD | {"scores": {}, "images": images.as_dict()}
    )
    out = tmp_path / "cells"
    assert main(["segment", str(sequence), str(out), "--network", str(tmp_path / "net.safetensors")]) == 0
    said = re.search(r"cells found are (\d+) px across \(median\), the network's were (\d+)", capsys.readouterr().out)
    assert (said and said.groups()) == sizes


def test_a_folder_with_something_else_is_never_written_to(sequence, network, capsys):
    for options in ([], ["--force"]):
        assert main(["segment", str(sequence), str(sequence), "--network", network, *options]) == 2
        assert "holds t000.tif, which is no result of this command" in capsys.readouterr().err
    assert names(sequence) == ["t000.tif", "t001.tif", "t002.tif"]


def test_a_failed_run_leaves_nothing(sequence, network, capsys):
    (sequence / "t002.tif").write_bytes((sequence / "t002.tif").read_bytes()[:300])
    for command in ("segment", "track"):
        assert main([command, str(sequence), str(sequence.parent / "out"), "--network", network]) == 2
        assert "t002.tif cannot be read as TIFF (truncated" in capsys.readouterr().err
    assert [path for path in (sequence.parent / "out").glob("**/*") if path.is_file()] == []


def test_an_image_that_holds_no_numbers_is_named(sequence, network, capsys):
    tifffile.imwrite(sequence / "t001.tif", np.full((40, 60), np.nan, np.float32))
    assert main(["segment", str(sequence), str(sequence.parent / "out"), "--network", network]) == 2
    assert "t001.tif" in capsys.readouterr().err


def test_missing_frames(sequence, network, capsys):
    (sequence / "t001.tif").unlink()
    assert main(["track", str(sequence), str(sequence.parent), "--network", network]) == 2
    assert "01 lacks the frames 1; cells cannot be followed across a gap" in capsys.readouterr().err
    assert names(sequence.parent) == ["01"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threshold", "1.5"], "threshold is 1.5"),
        (["--min-size", "-1"], "min_size is -1"),
        (["--border", "20"], "border is 20 px; frames of 40 x 60 px allow 0 to 19"),
        (["--scale", "0"], "scale is 0.0"),
        (["--rotations", "0"], "rotations is 0; needs at least 1"),
        (["--pixel-size", "1e-300"], "pixel size is 1e-300; needs a finite number above 0"),
        (["--device", "abacus"], 'device is "abacus"; choose cpu or cuda'),
        (["--network", "nothing"], "no network and no file called 'nothing'"),
    ],
)
def test_bad_options_give_one_line(sequence, network, capsys, options, message):
    assert main(["track", str(sequence), str(sequence.parent), "--network", network, *options]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    assert message in line
    assert names(sequence.parent) == ["01"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU whose absence is tested")
def test_absent_gpu(sequence, network, capsys):
    assert main(["segment", str(sequence), str(sequence.parent / "out"), "--network", network, "--device", "cuda"]) == 2
    assert "PyTorch finds no GPU here; say --device cpu" in capsys.readouterr().err


def test_a_pixel_has_two_sides(sequence, network, capsys):
    with pytest.raises(SystemExit):
        main(["segment", str(sequence), "out", "--network", network, "--pixel-size", "0.65,0.65,3"])
    assert "has 3 numbers; height and width of a pixel are two" in capsys.readouterr().err


def test_track_needs_a_network_or_masks(sequence, capsys):
    with pytest.raises(SystemExit):
        main(["track", str(sequence), str(sequence.parent)])
    assert "one of the arguments --network --masks is required" in capsys.readouterr().err


def test_the_library_finds_what_the_commands_write(sequence, network):
    images = [tifffile.imread(path) for path in sorted(sequence.iterdir())]
    out = sequence.parent / "cells"
    assert main(["segment", str(sequence), str(out), "--network", network, "--min-size", "20"]) == 0
    written = [tifffile.imread(path) for path in sorted(out.glob("*_mask.tif"))]
    for net in (network, read_network(network), brightness_network()):  # a file, network and card, a network in memory
        np.testing.assert_array_equal(up.segment(images, net, min_size=20, progress=False), written)
    assert main(["track", str(sequence), str(sequence.parent), "--network", network, "--min-size", "20"]) == 0
    tracks, expected = up.track(images, network, min_size=20, progress=False), read_tracks(sequence.parent / "01_RES")
    np.testing.assert_array_equal(tracks.labels, expected.labels)
    np.testing.assert_array_equal(tracks.table, expected.table)


def test_a_network_without_a_card_needs_a_scale(tmp_path):
    image = np.zeros((40, 60), np.uint8)
    bare = TrainedNetwork(brightness_network(), None, "mine.caffemodel")
    with pytest.raises(ValueError, match=r"mine\.caffemodel has no card, so the scale of its images is not known"):
        up.segment([image], bare, progress=False)
    assert up.segment([image], bare, scale=1.0, progress=False)[0].max() == 0


def test_twelve_bits_in_sixteen_are_brought_to_what_the_network_knows(sequence, network, capsys):
    for path in sequence.iterdir():
        tifffile.imwrite(path, tifffile.imread(path).astype(np.uint16) * 16)  # 4095 of 65535 at most: almost black
    arguments = ["segment", str(sequence), str(sequence.parent / "cells"), "--network", network, "--min-size", "20"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "grey values: 320-4000 of 65535; normalised by: percentile" in out
    assert "3 images, 5 cells" in out
    assert main(["track", str(sequence), str(sequence.parent), "--network", network, "--min-size", "20"]) == 0
    out = capsys.readouterr().out
    assert "grey values: 320-4000 of 65535; normalised by: percentile" in out
    assert "3 frames, 5 cells, 2 tracks" in out


def test_the_table_of_tracks(sequence, network):
    """Every cell of every frame with the number of its track; of masks alone, without grey values."""
    assert main(["track", str(sequence), str(sequence.parent), "--network", network, "--min-size", "20"]) == 0
    table = (sequence.parent / "01_RES/cells.csv").read_text().splitlines()
    assert table[0] == "image,cell,area_px,area_um2,row,column,mean_grey,track"
    assert table[1:4] == [
        "t000,1,144,,15.50,10.50,230,1",
        "t001,1,144,,15.50,14.50,230,1",
        "t001,2,64,,31.50,33.50,200,2",
    ]
    assert main(["track", str(sequence.parent / "01_RES"), str(sequence.parent), "--masks"]) == 0
    again = (sequence.parent / "01_RES_RES/cells.csv").read_text().splitlines()
    assert again[1] == "t000,1,144,,15.50,10.50,,1"


def test_track_takes_pixel_sizes_and_channels(sequence, network, capsys):
    """What `segment` reads, `track` reads: here one hyperstack of two channels, of which the first is empty."""
    frames = np.stack([tifffile.imread(path) for path in sorted(sequence.iterdir())])
    stack = np.stack([np.zeros_like(frames), frames], axis=1)
    tifffile.imwrite(sequence.parent / "s.tif", stack, imagej=True, metadata={"axes": "TCYX"})
    arguments = [
        "track",
        str(sequence.parent / "s.tif"),
        str(sequence.parent),
        "--network",
        network,
        "--min-size",
        "20",
    ]
    assert main(arguments) == 2
    assert "s.tif has 2 channels; choose one of 0 .. 1 (--channel)" in capsys.readouterr().err
    assert main([*arguments, "--channel", "1"]) == 0
    assert "3 frames, 5 cells, 2 tracks" in capsys.readouterr().out
