"""Overlap-tile (Fig. 2): any size of image, no seam, no dependence on the tile."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unet_paper.model import UNet
from unet_paper.overlap_tile import mirror_crop, mirror_indices, predict_scores, tile_grid


@pytest.fixture(scope="module")
def net() -> UNet:
    net = UNet(base_channels=4)
    net.reset_parameters(torch.Generator().manual_seed(0))
    return net


def random_image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def test_mirroring_does_not_repeat_the_edge_pixel():
    assert mirror_indices(-2, 6, 4).tolist() == [2, 1, 0, 1, 2, 3, 2, 1]


def test_mirroring_goes_on_for_ever():
    assert mirror_indices(-5, 8, 3).tolist() == [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]


@given(n=st.integers(1, 40), before=st.integers(0, 100), after=st.integers(0, 100))
def test_mirroring_agrees_with_numpys_reflect(n, before, after):
    expected = np.pad(np.arange(n), (before, after), mode="reflect" if n > 1 else "edge")
    assert mirror_indices(-before, n + after, n).tolist() == expected.tolist()


def test_mirror_crop_agrees_with_a_padded_image():
    image = random_image(2, 5, 9)
    padded = np.pad(image, ((0, 0), (12, 12), (12, 12)), mode="reflect")
    assert np.array_equal(mirror_crop(image, -12, 3, (20, 7)), padded[:, :20, 15:22])


@given(n=st.integers(1, 3000), tile=st.sampled_from([204, 252, 316, 572, 700]))
def test_tiles_cover_every_pixel_once_on_the_pooling_grid(n, tile):
    net = UNet(base_channels=1)
    grid = tile_grid(net, n, tile=tile)
    assert grid.size <= tile
    assert net.output_size(grid.size) >= grid.step
    assert all(start % 16 == 0 for start in grid.starts)
    assert list(grid.starts) == list(range(0, n, grid.step))
    fewest = -(-n // (net.output_size(tile) // 16 * 16))
    assert len(grid.starts) <= fewest


@pytest.mark.parametrize("tile", [204, 252, 316, 444])
@pytest.mark.parametrize("shape", [(330, 517), (100, 700)])
def test_the_result_does_not_depend_on_the_tile(net, shape, tile):
    image = random_image(*shape)
    in_one_tile = predict_scores(net, image, tile=net.legal_size_for(max(shape)))
    assert np.abs(predict_scores(net, image, tile=tile) - in_one_tile).max() <= 1e-4


def test_tiled_equals_one_pass_over_the_mirrored_image(net):
    image = random_image(196, 196)  # 196 + 184 = 380 is legal, so one plain pass covers the image
    mirrored = np.pad(image, net.border, mode="reflect")
    with torch.inference_mode():
        once = net.eval()(torch.from_numpy(mirrored)[None, None])[0].numpy()
    assert np.abs(predict_scores(net, image, tile=252) - once).max() <= 1e-4


def test_steps_off_the_pooling_grid_would_change_the_result(net):
    """Why outputs start at multiples of 16: the same pixels, 4 px later, are pooled with other neighbours."""
    image = random_image(400, 400)
    with torch.inference_mode():
        on_grid, off_grid = (
            net.eval()(torch.from_numpy(image[start : start + 252, start : start + 252])[None, None])[0]
            for start in (0, 4)
        )
    assert (on_grid[:, 4:, 4:] - off_grid[:, :-4, :-4]).abs().max() > 1e-2


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 60), width=st.integers(1, 60))
def test_images_smaller_than_the_border(height, width):
    net = UNet(base_channels=1)
    scores = predict_scores(net, random_image(height, width))
    assert scores.shape == (2, height, width)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 255), (np.uint16, 65535)])
def test_integer_images_are_scaled_to_the_unit_interval(net, dtype, scale):
    image = (random_image(20, 30) * scale).astype(dtype)
    expected = predict_scores(net, image.astype(np.float32) / scale)
    assert np.abs(predict_scores(net, image) - expected).max() <= 1e-5


def test_channels_first_images():
    net = UNet(in_channels=3, base_channels=1, depth=1)
    assert predict_scores(net, random_image(3, 10, 12), tile=20).shape == (2, 10, 12)


def test_bfloat16_decides_like_float32(net):
    image = random_image(64, 64)
    full, short = (predict_scores(net, image, precision=p) for p in ("float32", "bfloat16"))
    margin = np.abs(full[1] - full[0])
    clear = margin > 0.05 * margin.max()
    assert (full.argmax(0) == short.argmax(0))[clear].all()


def test_the_network_is_given_back_in_its_mode(net):
    net.train()
    predict_scores(net, random_image(8, 8))
    assert net.training


def test_dropout_does_not_act(net):
    net.train()
    image = random_image(8, 8)
    assert np.array_equal(predict_scores(net, image), predict_scores(net, image))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros(5), ValueError, "1 dimensions"),
        (np.zeros((0, 5)), ValueError, "image is empty"),
        (np.full((5, 5), np.nan), ValueError, "25 NaN or infinite"),
        (np.zeros((5, 5), np.int64), TypeError, "dtype int64; convert it to uint8"),
        (np.zeros((5, 5), complex), TypeError, "dtype complex128"),
        (np.zeros((3, 5, 5), np.float32), ValueError, "3 channels; this network takes 1"),
    ],
)
def test_bad_images_are_refused(net, image, error, message):
    with pytest.raises(error, match=message):
        predict_scores(net, image)


def test_bad_settings_are_refused(net):
    with pytest.raises(ValueError, match="570 is not legal"):
        predict_scores(net, random_image(5, 5), tile=570)
    with pytest.raises(ValueError, match="tile 188 leaves 4 px of output; the smallest tile is 204"):
        predict_scores(net, random_image(5, 5), tile=188)
    with pytest.raises(ValueError, match="precision is 'float16'; choose one of 'float32', 'bfloat16'"):
        predict_scores(net, random_image(5, 5), precision="float16")


def test_memory_is_bounded_by_the_tile(net):
    """No forward pass ever sees more than one tile."""
    seen = []
    handle = net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-2:]))
    predict_scores(net, random_image(50, 1500), tile=252)
    handle.remove()
    assert max(max(shape) for shape in seen) <= 252
