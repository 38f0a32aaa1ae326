"""Block by block equals the whole image: maps, cells, numbers, files; on one machine and on two, of which one dies."""

from __future__ import annotations

import os
import signal

import distributed
import numpy as np
import ome_zarr_models
import pytest
import tifffile
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import unet_paper as up
from unet_paper.cli import main
from unet_paper.datasets.image_files import describe
from unet_paper.networks.image_settings import ImageSettings
from unet_paper.own_images import Method, Outputs, machines, segment_files
from unet_paper.own_images.blocks import cuts, look_at, parts, turned_back, turned_image, turned_part, work_on
from unet_paper.own_images.folder import ResultFolder
from unet_paper.own_images.joining import join_cells, joined_bands
from unet_paper.resizing import needed_part, resize_image, resized_part

QUIET = {"progress": False, "say": lambda text: None}
TILE = 236  # px: 48 px of the output are kept
KNOWN = ImageSettings(scale=0.8, pixel_size=0.9, normalise="percentile", black=0.1, white=0.9, min_size=20)


def network() -> up.UNet:
    net = up.UNet(base_channels=2, dropout=0)
    net.reset_parameters(torch.Generator().manual_seed(3))
    net.images = KNOWN
    return net.eval()


def blobs(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Smooth noise of 12 bits in 16: whatever the network makes of it, its map is neither empty nor full."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((height, width)), 4)
    return ((noise - noise.min()) / max(np.ptp(noise), 1e-9) * 4095).astype(np.uint16)


def saved(folder, pixels: np.ndarray, name: str = "a.tif"):
    tifffile.imwrite(folder / name, pixels)
    return folder / name


def map_by_blocks(path, net, method: Method, block: int) -> np.ndarray:
    file = describe(path)
    work = work_on(file, look_at(file), net, KNOWN, method, channel=None, frame=0)
    found = np.full(work.scaled, np.nan, dtype=np.float32)
    for part in parts(*(cuts(net, n, tile=method.tile, block=block) for n in work.scaled)):
        found[slice(*part[0]), slice(*part[1])] = work.probability(net, part)
    return found if work.scaled == work.size else resize_image(found[None], work.size)[0].clip(0, 1)


SIDES = st.integers(2, 150)


@settings(max_examples=10, deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    tile=st.sampled_from((220, 236)),  # 32 and 48 px of each are kept
    block=st.sampled_from((16, 100)),
    rotations=st.sampled_from((1, 2, 4)),
    flips=st.booleans(),
    size=st.sampled_from(({"scale": 1.0}, {"scale": 0.5}, {"scale": 1.3}, {"pixel_size": (1.1, 0.8)})),
)
def test_the_map_of_blocks_is_the_map_of_the_whole_to_the_bit(
    tmp_path_factory, height, width, tile, block, rotations, flips, size
):
    image, net = blobs(height, width, seed=height), network()
    method = Method(tile=tile, rotations=rotations, flips=flips, **size)
    whole = method.segment_one(image, net, KNOWN).probability
    path = saved(tmp_path_factory.mktemp("map"), image)
    np.testing.assert_array_equal(map_by_blocks(path, net, method, block), whole)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), height=st.integers(1, 25), width=st.integers(1, 25), rows=st.integers(1, 26))
def test_joined_cells_are_those_of_the_whole_with_the_same_numbers(data, height, width, rows):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    probability, grey = random.random((height, width)), random.integers(0, 255, (height, width))
    threshold, min_size = data.draw(st.sampled_from((0.3, 0.45, 0.7))), data.draw(st.integers(0, 9))
    border = data.draw(st.integers(0, (min(height, width) - 1) // 2))
    foreground = lambda band: probability[slice(*band)] > threshold  # noqa: E731
    joined = join_cells(
        foreground, lambda band: grey[slice(*band)], probability.shape, rows=rows, min_size=min_size, border=border
    )
    whole = up.instances(probability, threshold=threshold, min_size=min_size, border=border)
    found = np.concatenate(list(joined_bands(foreground, probability.shape, joined, rows=rows)))
    np.testing.assert_array_equal(found, whole)
    numbers = range(1, whole.max() + 1)
    np.testing.assert_array_equal(joined.measures[:, 4], ndimage.sum_labels(grey, whole, numbers))
    boxes = [(r.start, c.start, r.stop, c.stop) for r, c in ndimage.find_objects(whole)]
    np.testing.assert_array_equal(joined.places, np.reshape(boxes, (-1, 4)))


def test_a_comb_whose_teeth_meet_in_the_last_band_is_one_cell():
    comb = np.zeros((11, 11), bool)
    comb[:, ::2], comb[10] = True, True
    read = lambda band: comb[slice(*band)]  # noqa: E731
    joined = join_cells(read, read, comb.shape, rows=1, min_size=0)
    assert joined.measures[:, 0].tolist() == [comb.sum()]
    assert joined.places.tolist() == [[0, 0, 11, 11]]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_part_of_a_resized_image_needs_only_a_part_of_the_image(data):
    old, new = (data.draw(st.tuples(st.integers(2, 90), st.integers(2, 90))) for _ in range(2))
    image = np.random.default_rng(0).random(old, dtype=np.float32)
    part = tuple(tuple(sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=2)))) for n in new)
    rows, columns = needed_part(part, old, new)
    found = resized_part(image[slice(*rows), slice(*columns)], (rows[0], columns[0]), old, new, part)
    np.testing.assert_array_equal(found, resize_image(image[None], new)[0][slice(*part[0]), slice(*part[1])])


@pytest.mark.parametrize("view", [(k, flip) for k in range(4) for flip in (False, True)])
def test_a_part_lies_in_a_view_where_the_view_shows_it(view):
    image, part = torch.arange(35.0).reshape(1, 5, 7), ((1, 3), (2, 6))
    rows, columns = turned_part(part, (5, 7), view)
    shown = turned_image(image, view)[:, slice(*rows), slice(*columns)]
    expected = turned_image(image[:, 1:3, 2:6], view)
    assert torch.equal(shown, expected)
    assert turned_back((rows, columns), (5, 7), view) == part


@pytest.fixture
def image_and_threshold(tmp_path):
    """Write an image whose cells are wider than a block of 48 px; give it with a threshold that finds some."""
    image, net = blobs(230, 210), network()
    probability = next(Method().segment_each([image], net, progress=False)).probability
    return saved(tmp_path, image), float(np.quantile(probability, 0.6))


def test_files_of_blocks_are_those_of_the_whole(tmp_path, image_and_threshold):
    path, threshold = image_and_threshold
    method, net = Method(threshold=threshold, flips=True, tile=TILE), network()
    outputs = Outputs(probability=True, overlay=True, geojson=True)
    whole, blocks = (
        segment_files(path, tmp_path / name, net, method=method, outputs=outputs, block=block, **QUIET)
        for name, block in (("whole", 0), ("blocks", 48))
    )
    assert whole.cells == blocks.cells >= 3
    places = ndimage.find_objects(tifffile.imread(whole.folder / "a_mask.tif"))
    assert max(side.stop - side.start for place in places for side in place) > 60  # a block
    for name in ("a_mask.tif", "a_probability.tif"):
        one, other = (tifffile.imread(result.folder / name) for result in (whole, blocks))
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    for name in ("cells.csv", "a.geojson", "a_overlay.png"):
        assert (whole.folder / name).read_bytes() == (blocks.folder / name).read_bytes(), name
    assert not (blocks.folder / "unfinished").exists()


def test_an_interrupted_run_goes_on_with_the_missing_blocks(tmp_path, image_and_threshold, monkeypatch):
    path, threshold = image_and_threshold
    how = {"method": Method(threshold=threshold, tile=TILE), "block": 48, **QUIET}
    real, computed = machines.map_of, []

    def stops(work, net, part, threshold):
        if len(computed) == 3:
            raise KeyboardInterrupt
        computed.append(part)
        return real(work, net, part, threshold)

    monkeypatch.setattr(machines, "map_of", stops)
    with pytest.raises(KeyboardInterrupt):
        segment_files(path, tmp_path / "out", network(), **how)
    monkeypatch.setattr(machines, "map_of", lambda *block: computed.append(block[2]) or real(*block))
    segment_files(path, tmp_path / "out", network(), **how)
    whole = segment_files(path, tmp_path / "whole", network(), **{**how, "block": 0})
    assert len(computed) == len(set(computed)) == 16  # none twice
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "out" / "a_mask.tif"), tifffile.imread(whole.folder / "a_mask.tif")
    )


def test_blocks_of_other_settings_are_not_taken_for_finished(tmp_path, image_and_threshold):
    path, threshold = image_and_threshold
    (tmp_path / "out").mkdir()
    first, second = (Method(threshold=t, tile=TILE) for t in (threshold, min(1.0, threshold + 0.05)))
    segment_files(path, tmp_path / "out", network(), method=first, block=48, **QUIET)
    segment_files(path, tmp_path / "out", network(), method=second, block=100, force=True, **QUIET)
    whole = segment_files(path, tmp_path / "whole", network(), method=second, block=0, **QUIET)
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "out" / "a_mask.tif"), tifffile.imread(whole.folder / "a_mask.tif")
    )


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--rotations", "7"), "only 1, 2 or 4 can be computed block by block"),
        (("--block", "-1"), "block is -1 px; needs 0"),
        (("--threshold", "2"), "threshold is 2.0; a probability"),
        (("--border", "400"), "border is 400 px; frames of 230 x 210 px allow 0 to 104"),
    ],
)
def test_what_cannot_be_exact_or_is_no_number_is_refused_by_name(tmp_path, image_and_threshold, capsys, options, word):
    path, _ = image_and_threshold
    arguments = ["segment", str(path), str(tmp_path / "out"), "--network", "u373", "--block", "64", *options]
    assert main(arguments) == 2
    assert word in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_network_for_standardised_images_is_refused(tmp_path, image_and_threshold):
    net = network()
    net.images = ImageSettings(standardise=True)
    with pytest.raises(ValueError, match="cannot be used block by block"):
        segment_files(image_and_threshold[0], tmp_path / "out", net, block=64, **QUIET)


def test_not_a_number_in_a_large_image(tmp_path):
    image = blobs(80, 90).astype(np.float32)
    image[3, 5:9] = np.nan
    with pytest.raises(ValueError, match="holds 4 NaN"):
        segment_files(saved(tmp_path, image), tmp_path / "out", network(), block=32, **QUIET)


def test_two_workers_of_which_one_dies(tmp_path, image_and_threshold):
    path, threshold = image_and_threshold
    method = Method(threshold=threshold, tile=TILE)
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        workers = list(client.scheduler_info()["workers"])
        victim = client.submit(os.getpid, workers=[workers[0]], pure=False).result()
        killed = []

        real, handed = client.submit, []

        def submit(function, *arguments, **how):
            handed.append(function)
            if len(handed) == 6 and not killed:  # the network and four blocks were handed out, one came back
                killed.append(victim)
                os.kill(victim, signal.SIGKILL)
            return real(function, *arguments, **how)

        client.submit = submit
        found = segment_files(path, tmp_path / "out", network(), method=method, block=32, client=client, **QUIET)
    assert killed == [victim]
    whole = segment_files(path, tmp_path / "whole", network(), method=method, block=0, **QUIET)
    np.testing.assert_array_equal(
        tifffile.imread(found.folder / "a_mask.tif"), tifffile.imread(whole.folder / "a_mask.tif")
    )


def test_a_scheduler_that_does_not_answer(tmp_path, image_and_threshold, capsys, monkeypatch):
    monkeypatch.setattr(machines, "SCHEDULER_WAIT", 1)
    arguments = ["segment", str(image_and_threshold[0]), str(tmp_path / "out"), "--network", "u373"]
    assert main([*arguments, "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "no dask scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err


def test_a_scheduler_that_no_machine_has_joined_and_one_that_is_not_needed(
    tmp_path, image_and_threshold, capsys, monkeypatch
):
    monkeypatch.setattr(machines, "SCHEDULER_WAIT", 1)
    arguments = ["segment", str(image_and_threshold[0]), str(tmp_path / "out"), "--network", "u373"]
    options = {"threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(n_workers=0, protocol="tcp", **options) as cluster:
        assert main([*arguments, "--scheduler", cluster.scheduler_address]) == 2
        assert f"no machine has joined the scheduler at {cluster.scheduler_address}" in capsys.readouterr().err
        monkeypatch.setattr(machines, "SCHEDULER_WAIT", 300)  # a busy machine
        cluster.scale(1)
        assert main([*arguments, "--scheduler", cluster.scheduler_address]) == 0
    assert "so this machine computes alone; --block cuts smaller ones" in capsys.readouterr().out


def test_blocks_that_no_machine_survives(tmp_path, image_and_threshold, monkeypatch):

    def lost(*_):
        raise distributed.KilledWorker("block", None, 3)
        yield

    monkeypatch.setattr(machines, "_shared", lost)
    with pytest.raises(RuntimeError, match="each was lost; give them more memory"):
        segment_files(image_and_threshold[0], tmp_path / "out", network(), block=32, client=object(), **QUIET)


def test_a_zarr_gives_an_ome_zarr(tmp_path, image_and_threshold):
    path, threshold = image_and_threshold
    pixels = tifffile.imread(path)
    zarr.open_array(tmp_path / "a.zarr", mode="w", shape=pixels.shape, chunks=(64, 64), dtype="uint16")[:] = pixels
    method = Method(threshold=threshold, tile=TILE)
    found = segment_files(tmp_path / "a.zarr", tmp_path / "out", network(), method=method, block=48, **QUIET)
    whole = segment_files(path, tmp_path / "whole", network(), method=method, block=0, **QUIET)
    mask = zarr.open_group(found.folder / "a_mask.zarr", mode="r")
    assert isinstance(ome_zarr_models.open_ome_zarr(mask), ome_zarr_models.v05.image_label.ImageLabel)
    np.testing.assert_array_equal(mask["0"][:], tifffile.imread(whole.folder / "a_mask.tif"))


def test_levels_of_a_large_mask_hold_every_second_pixel(tmp_path):
    labels = np.random.default_rng(0).integers(0, 9, (2100, 33))
    rows = (labels[top : top + 512] for top in range(0, 2100, 512))
    ResultFolder(tmp_path, note="note").put_zarr(
        "m.zarr", rows, size=labels.shape, dtype="uint16", pixel_size=(0.5, 0.3)
    )
    group = zarr.open_group(tmp_path / "m.zarr", mode="r")
    assert sorted(group.keys()) == ["0", "1"]
    for level in range(2):
        np.testing.assert_array_equal(group[str(level)][:], labels[:: 2**level, :: 2**level])
    assert describe(tmp_path / "m.zarr").pixel_size == (0.5, 0.3)
