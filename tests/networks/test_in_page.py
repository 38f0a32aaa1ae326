"""What the build writes for the U-Net in the page: every weight once, in the order of Fig. 1, and an honest list."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from unet_paper import UNet
from unet_paper.networks.in_page import OFFERED, page_scripts, weights_in_order
from unet_paper.networks.library import read_network, save_network

PAGE = Path(__file__).parents[2] / "book" / "_static" / "unet_in_page"
CARD = {"name": "x", "task": "u373", "scale": 0.5, "data": "none", "licence": "none", "command": "none", "scores": {}}


def handed_over(script: str) -> tuple[str, dict | str]:
    """Return what the script tells the page: a name, and the data."""
    return tuple(json.loads(f"[{script.removeprefix('UNetInPage.receive(').removesuffix(');' + chr(10))}]"))


def test_every_weight_is_there_once_in_the_order_of_the_figure():
    net = UNet(base_channels=2)
    layers = weights_in_order(net)
    assert len(layers) == 23
    assert sum(part.size for layer in layers for part in layer) == sum(p.numel() for p in net.parameters())
    channels = [weight.shape[2:] for weight, _ in layers]  # (in, out), of an up-convolution (out, in)
    down = [(1, 2), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16), (16, 32), (32, 32)]
    up = [(16, 32), (32, 16), (16, 16), (8, 16), (16, 8), (8, 8), (4, 8), (8, 4), (4, 4), (2, 4), (4, 2), (2, 2)]
    assert channels == [*down, *up, (2, 2)]


def test_axes_are_those_of_tensorflow():
    net = UNet(base_channels=2)
    layers = weights_in_order(net)
    first, up = net.down[0][0].weight.detach(), net.upsample[0][0].weight.detach()
    assert layers[0][0][1, 2, 0, 1] == first[1, 0, 1, 2].half()  # (h, w, in, out) <- (out, in, h, w)
    assert layers[10][0][0, 1, 3, 7] == up[7, 3, 0, 1].half()  # (h, w, out, in) <- (in, out, h, w)


@pytest.mark.parametrize("other", [{"variant": "release"}, {"in_channels": 3}, {"depth": 3}, {"base_channels": 32}])
def test_another_network_is_refused(other):
    with pytest.raises(ValueError, match="the page runs"):
        weights_in_order(UNet(**{"base_channels": 2, **other}))


def test_networks_are_offered_that_are_there(tmp_path):
    net = UNet(base_channels=2)
    save_network(tmp_path / "em.safetensors", net, card={**CARD, "task": "em", "scores": {}})
    scripts = dict(page_scripts(PAGE, models=tmp_path))
    assert sorted(scripts) == ["network-em.js", "networks.js", "wasm.js"]
    (listed,) = json.loads(re.search(r"= (\[.*\]);", scripts["networks.js"], re.DOTALL)[1])
    assert listed["name"] == "em"
    assert listed["licence"] == "none"
    name, data = handed_over(scripts["network-em.js"])
    assert name == "em"
    assert data["settings"]["scale"] == 0.5
    numbers = np.frombuffer(base64.b64decode(data["weights"]), "<f2")
    assert torch.equal(torch.tensor(numbers[-2:]), net.score.bias.detach().half())
    assert handed_over(scripts["wasm.js"])[0] == "wasm"


@pytest.mark.parametrize("name", OFFERED)
def test_published_networks_fit_the_page(name):
    assert len(weights_in_order(read_network(name).net)) == 23


def test_what_others_lent_is_as_they_published_it_and_small():
    rows = re.findall(r"^\| ([\w.-]+) \|.*`([0-9a-f]{64})` \|$", (PAGE / "vendor" / "README.md").read_text(), re.M)
    files = {path.name for path in (PAGE / "vendor").iterdir() if path.suffix in (".js", ".wasm")}
    assert {name for name, _ in rows} == files
    for name, expected in rows:
        assert hashlib.sha256((PAGE / "vendor" / name).read_bytes()).hexdigest() == expected, name
    assert sum((PAGE / "vendor" / name).stat().st_size for name in files) <= 1e6
    licences = [path.read_text() for path in (PAGE / "vendor").glob("LICENSE-*.txt")]
    assert sum("Apache License" in text for text in licences) == 1
    assert sum("Permission is hereby granted, free of charge" in text for text in licences) == 1
