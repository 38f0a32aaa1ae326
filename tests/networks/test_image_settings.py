"""What the published networks say about their images, measured again where the images are."""

from __future__ import annotations

import numpy as np
import pytest

import unet_paper as up
from tests.real_data import REAL, needs_sequences
from unet_paper.networks.image_settings import PERCENTILES, PUBLISHED, ImageSettings, area_diameter, settings_of

CARD = {"name": "a", "task": "b", "scale": 0.7}


def test_a_card_states_its_own_images_and_the_scale_stands_once():
    stated = ImageSettings(scale=0.3, normalise="percentile", diameter=40.0)
    assert settings_of(CARD | {"images": stated.as_dict()}) == ImageSettings(
        scale=0.7, normalise="percentile", diameter=40.0
    )
    assert settings_of(CARD) == ImageSettings(scale=0.7)
    assert settings_of(CARD | {"task": "u373"}).pixel_size == 0.65
    assert settings_of(None) is None


def test_networks_carry_their_settings():
    assert up.load_network("u373").images.scale == up.network_card("u373")["scale"]


@needs_sequences
@pytest.mark.parametrize(("task", "name"), [("u373", "PhC-C2DH-U373"), ("dic-hela", "DIC-C2DH-HeLa")])
def test_published_grey_values_and_cells(task, name):
    data, stated = up.load_cell_tracking(name, 1, root=REAL), PUBLISHED[task]
    areas = np.concatenate([np.bincount(np.maximum(frame, 0).ravel())[1:] for frame in data.labels])
    measured = [*np.percentile(data.images, PERCENTILES), data.images.mean(), data.images.std()]
    np.testing.assert_allclose(measured, [stated.black, stated.white, stated.mean, stated.deviation], atol=1e-3)
    assert area_diameter(np.median(areas[areas > 0])) == pytest.approx(stated.diameter, abs=0.1)
