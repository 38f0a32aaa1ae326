"""What is shown to people: one line, of a length, in which nothing steers a terminal or a page; ranges of numbers."""

from __future__ import annotations

import unicodedata

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unet_paper.messages import LIMIT, as_ranges, left_out, plain, reason, runs
from unet_paper.model import UNet
from unet_paper.networks.card import card_text

STEERING = "\x1b[2J\x07\n\r\x9b1m\u202e\u200b\ud800\u2028"


@given(st.text())
def test_nothing_steers(text):
    shown = plain(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_ordinary_text_stays(text):
    assert plain(text) == text


def test_steering_characters_are_named():
    assert plain(STEERING) == r"\x1b[2J\x07\n\r\x9b1m\u202e\u200b\ud800\u2028"


@given(st.integers(40, 3000), st.integers(0, 5000))
def test_long_text_keeps_its_ends(limit, length):
    text = ("begin" + "x" * length + "end.")[-max(length, 9) :]
    shown = plain(text, limit=limit)
    assert len(shown) <= max(limit, 9) + 20
    if len(text) <= limit:
        assert shown == text
    else:
        assert shown[:5] + shown[-4:] == text[:5] + text[-4:]


def test_a_message_has_a_limit():
    assert len(reason(ValueError("frames " + "1, " * 10**6))) < LIMIT + 50


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("threshold is 2"), "threshold is 2"),
        (RuntimeError("it failed\nException raised from at::x\nframe #0"), "it failed"),
        (MemoryError(), "not enough memory (MemoryError); take smaller or fewer images, or a smaller network"),
        (ValueError(), "ValueError"),
    ],
)
def test_the_reason_of_an_error(error, said):
    assert reason(error) == said


def test_pytorch_without_memory_is_told_as_such():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**52, dtype=torch.uint8)
    assert reason(caught.value).startswith("not enough memory (")
    assert "\\n" not in reason(caught.value)


def test_a_card_shows_what_a_file_says_as_text():
    """Names and values that come with the file of a network make no rows, tags, ends of code or commands."""
    evil = "\x1b[2J\n```\n# title | <script>"
    card = {"name": evil, "task": evil, "scale": 1.0, "data": evil, "licence": evil, "command": evil}
    card |= {"scores": {evil: 0.5}, "full_size_command": evil, "device": evil, "looked_at": evil}
    net = UNet(base_channels=1, depth=1)
    page = card_text(card, net, file='a"b\x1b`.safetensors', sha256="0" * 64)
    ordinary = dict.fromkeys(card, "x") | {"scale": 1.0, "scores": {"x": 0.5}}
    expected = card_text(ordinary, net, file="x.safetensors", sha256="0" * 64)
    assert "\x1b" not in page
    assert "<script" not in page.replace("```\n\\x1b[2J\\n'''\\n# title | <script>\n```", "")
    lines, others = page.splitlines(), expected.splitlines()
    assert len(lines) == len(others)
    assert [line[:3] for line in lines if line.startswith(("#", "```"))] == [
        line[:3] for line in others if line.startswith(("#", "```"))
    ]
    assert r'load_network("a\"b\u001b`")' in page


@pytest.mark.parametrize("wrong", [{"name": {}}, {"task": ["em"]}, {"command": 7}, {"scores": 0.5}, {"scores": []}])
def test_a_card_of_other_types_is_refused(wrong):
    card = dict.fromkeys(("name", "task", "data", "licence", "command"), "x") | {"scale": 1.0, "scores": {}}
    with pytest.raises(ValueError, match=f"the card's {next(iter(wrong))} (is|are) .*; needs"):
        card_text(card | wrong, UNet(base_channels=1, depth=1), file="x.safetensors", sha256="0")


@given(numbers=st.sets(st.integers(0, 30)), first=st.integers(0, 10), length=st.integers(0, 20))
def test_gaps_and_runs_are_the_numbers_that_sets_would_find(numbers, first, length):
    last = first + length
    inside = sorted(number for number in numbers if first <= number <= last)
    missing = [number for low, high in left_out(inside, first=first, last=last) for number in range(low, high + 1)]
    assert missing == [number for number in range(first, last + 1) if number not in numbers]
    assert [number for low, high in runs(inside) for number in range(low, high + 1)] == inside


def test_intervals_are_written_shortly():
    assert as_ranges([(2, 4), (8, 8)]) == "2-4, 8"
    assert as_ranges(runs(range(0, 40, 2))) == "0, 2, 4, 6, 8 and 15 more"
