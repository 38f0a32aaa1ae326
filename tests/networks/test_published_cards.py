"""The cards of the networks that come with the book: complete, and those of the files beside them."""

from __future__ import annotations

import shutil

import pytest

from unet_paper.datasets.folders import published
from unet_paper.networks import network_card
from unet_paper.networks.card import PAPER_DOI, check_card
from unet_paper.networks.library import write_card

MODELS = sorted((published() / "models").glob("*.safetensors"))
FACTS = (
    *("what it finds", "network", "experiment", "trained on", "held out, for the scores below"),
    *("a pixel of the training images", "training", "licence note", "please cite", "sha256 of the file"),
)
SECTIONS = ("How to use it", "Scores", "What had been looked at before", "How it was made", "Intended use and limits")


def test_there_is_a_network_for_each_task():
    assert {network_card(path)["task"] for path in MODELS} == {"em", "u373", "dic-hela"}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_card_has_everything_that_a_reader_or_a_model_zoo_asks_for(path):
    check_card(network_card(path))
    text = path.with_suffix(".md").read_text()
    assert [fact for fact in FACTS if f"| {fact} | " not in text] == []
    assert [section for section in SECTIONS if f"## {section}\n" not in text] == []
    assert f"doi:{PAPER_DOI}" in text


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_card_is_that_of_the_file_beside_it(tmp_path, path):
    copy = shutil.copy(path, tmp_path)
    assert write_card(copy).read_text() == path.with_suffix(".md").read_text(), "write_card writes it anew"
