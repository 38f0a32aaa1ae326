"""The benchmarks run, say what they promise and compare like with like; how long anything takes decides nothing."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import fields

import matplotlib
import matplotlib.pyplot as plt
import pytest

from benchmarks import network
from benchmarks import rivals as race
from benchmarks.__main__ import PARTS, main
from benchmarks.comparison import Comparison, medians
from benchmarks.record import table
from tests.test_rivals import SMALL
from unet_paper.experiments import results_folder
from unet_paper.figures.benchmarks import plot_ratios
from unet_paper.model import UNet
from unet_paper.networks.library import save_network

matplotlib.use("Agg")
RECORDED = results_folder() / "benchmarks.json"


@pytest.fixture(scope="module")
def quick(tmp_path_factory) -> dict:
    """Measure everything quickly; return the record."""
    output = tmp_path_factory.mktemp("benchmarks") / "record.json"
    assert main(["--quick", "--output", str(output)]) == 0
    return json.loads(output.read_text())


@pytest.fixture(params=["quick", "recorded"])
def record(request, quick) -> dict:
    return quick if request.param == "quick" else json.loads(RECORDED.read_text())


def comparison(**changes) -> Comparison:
    return Comparison(what="a sum", other="a loop", how="on paper", **({"ours_ms": 2.0} | changes))


def rows_of(record: dict) -> list[dict]:
    return [row for room in record["rooms"].values() for row in room["comparisons"]]


def test_every_method_of_the_comparison_is_timed_on_the_same_section(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(race.rivals, "SIDE", 64)
    monkeypatch.setattr(race, "RIVALS", {rival.name: rival for rival in SMALL})
    assert race.main(["--rounds", "1", "--output", str(tmp_path / "seconds.json")]) == 0
    record = json.loads((tmp_path / "seconds.json").read_text())
    assert set(record["seconds"]) == {rival.name for rival in SMALL}
    assert all(min(seconds.values()) > 0 for seconds in record["seconds"].values())
    assert record["side"] == 64
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 1 + len(SMALL)
    assert all(any(rival.title in line for line in shown) for rival in SMALL)


# One comparison -----------------------------------------------------------------------------------------------------


def test_ratio_says_how_many_times_as_long_the_other_way_takes():
    assert comparison(other_ms=10.0).ratio == 5
    assert comparison().ratio is None


@pytest.mark.parametrize(
    ("changes", "met"),
    [
        ({}, None),
        ({"other_ms": 10.0, "goal_ratio": 5}, True),
        ({"other_ms": 10.0, "goal_ratio": 5.1}, False),
        ({"goal_ratio": 5}, None),  # the other way was not measured
        ({"goal_ms": 2}, True),
        ({"goal_ms": 1.9}, False),
        ({"apart": 0.0, "goal_apart": 0}, True),
        ({"apart": 0.1, "goal_apart": 0}, False),
        ({"goal_ms": 2, "goal_apart": 0}, None),
        ({"goal_ms": 2, "apart": 0.1, "goal_apart": 0}, False),
    ],
)
def test_a_goal_is_met_missed_or_not_measured(changes, met):
    assert comparison(**changes).met is met


def test_goals_are_named():
    assert comparison(goal_ratio=50, goal_ms=40, goal_apart=1e-5).goal == "≥ 50 times, ≤ 40 ms, apart ≤ 1e-05"
    assert comparison().goal == ""


def test_tasks_take_turns_after_a_first_call_that_does_not_count():
    calls = []
    times = medians({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2, at_least=0.0)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert times.keys() == {"a", "b"}


# A record -----------------------------------------------------------------------------------------------------------


def test_record_has_all_rooms_and_every_row_has_all_it_promises(record):
    assert list(record["rooms"]) == list(PARTS)
    promised = {field.name for field in fields(Comparison)} | {"ratio", "goal", "met"}
    for row in rows_of(record):
        assert row.keys() == promised
        assert row["ours_ms"] > 0
        if row["other_ms"] is not None:
            assert row["ratio"] == pytest.approx(row["other_ms"] / row["ours_ms"])


def test_record_tells_the_kind_of_machine_and_not_its_name(record):
    machine = record["machine"]
    assert {"cpu", "cores", "threads", "date", "load_before", "load_after", "versions"} <= machine.keys()
    assert {"python", "torch", "numpy", "numba"} <= machine["versions"].keys()
    text = json.dumps(record)
    assert not platform.node() or f'"{platform.node()}"' not in text
    assert os.getcwd() not in text


def test_fast_and_slow_ways_agree(record):
    weight_maps = [row for row in record["rooms"]["weightmap"]["comparisons"] if row["apart"] is not None]
    assert len(weight_maps) >= 2
    assert all(row["apart"] <= 1e-5 for row in weight_maps)
    warping = record["rooms"]["metrics"]["comparisons"][-1]
    assert (warping["other"], warping["apart"]) == ("plain Python", 0)


def test_table_shows_every_comparison_with_its_goal(record):
    text = table(record)
    for row in rows_of(record):
        assert row["what"] in text
        assert row["goal"] in text


def test_figure_draws_every_ratio_and_every_goal(record):
    rows = [row for row in rows_of(record) if row["ratio"]]
    (axes,) = plot_ratios(rows).axes
    assert [bar.get_x() + bar.get_width() for bar in axes.patches] == pytest.approx([row["ratio"] for row in rows])
    goals = [row["goal_ratio"] for row in rows if row["goal_ratio"] is not None]
    assert [line.get_xdata()[0] for line in axes.lines] == goals
    plt.close("all")


def test_recorded_numbers_are_those_of_a_full_run():
    recorded = json.loads(RECORDED.read_text())
    assert recorded["quick"] is False
    assert sum(bool(row["goal"]) for row in rows_of(recorded)) == 8


# The command --------------------------------------------------------------------------------------------------------


def test_one_room_can_be_measured_alone(capsys):
    assert main(["weightmap", "--quick"]) == 0
    text = capsys.readouterr().out
    assert "weight map" in text
    assert "forward pass" not in text


@pytest.mark.parametrize("wrong", [["weightmaps"], ["--output", "no/such/folder/record.json"]])
def test_mistakes_are_named_before_anything_is_measured(wrong, capsys):
    with pytest.raises(SystemExit):
        main(wrong)
    message = capsys.readouterr().err
    assert "weightmap, augmentation, network, metrics" in message or "create it first" in message


def test_without_a_trained_network_the_record_says_how_to_name_one(monkeypatch):
    monkeypatch.setattr(network, "NETWORK", "no such network")
    answer = network.measure_agreement(None)
    assert answer["other_class"] is None
    assert "--network PATH" in answer["why_not"]


def test_a_network_that_was_asked_for_must_be_there():
    with pytest.raises(FileNotFoundError, match="no such network"):
        network.measure_agreement("no such network")


def test_a_named_network_is_asked(tmp_path):
    card = dict.fromkeys(("name", "task", "data", "licence", "command"), "") | {"scale": 1, "scores": {}}
    save_network(tmp_path / "mine.safetensors", UNet(base_channels=2), card=card)
    answer = network.measure_agreement(tmp_path / "mine.safetensors", quick=True)
    assert (answer["network"], answer["base_channels"]) == ("mine", 2)
    assert 0 <= answer["other_class"] <= 1
    assert 0 <= answer["pixel_error"] <= 1
