"""The scoreboard: what became of the paper's seventeen claims, judged by rules that are written out here.

`scoreboard` is a pure function: evidence in, one row per claim out. `unet_paper.experiments.evidence` counts, measures
and reads that evidence; `unet_paper.experiments.stated` holds the paper's values. A claim about learning that fewer
than `findings.ENOUGH_RUNS` runs stand behind is never called reproduced, however good the number: at most partly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from unet_paper.experiments import stated
from unet_paper.experiments.claims_of_scores import (
    dic_hela,
    mean_and_range,
    microscopy,
    shortfall,
    three_tasks,
    u373,
)
from unet_paper.experiments.findings import (
    COUNTED,
    LIVE,
    NOT,
    OPEN,
    PARTLY,
    RECORDED,
    REPRODUCED,
    VERDICTS,
    Evidence,
    Finding,
    Row,
    learned,
)
from unet_paper.experiments.stated import CLAIMS
from unet_paper.experiments.summary import EM_RUNS, counted_folds

# The rules. Each is used by one verdict, whose docstring says how.
SEAM, GAP = 1e-4, 1e-2  # C2: differences in standard deviations of the scores that are rounding, and that are a seam
FEWER = 10  # C3: times as many operations
NEAR_ONE = (0.5, 2.0)  # C5: standard deviations that count as about 1
MOST = 0.9  # C5: share of the maps


def scoreboard(evidence: Evidence) -> list[Row]:
    """Judge every claim, C1 .. C17."""
    return [Row(claim, judge(evidence)) for claim, judge in zip(CLAIMS, JUDGES, strict=True)]


def tally(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many claims got each verdict, in the order of `VERDICTS`."""
    return {verdict: sum(row.finding.verdict == verdict for row in rows) for verdict in VERDICTS}


def network(evidence: Evidence) -> Finding:
    """C1: reproduced if the number of convolutions and every side of Fig. 1 agree; partly if one of the two does."""
    found = evidence.counted
    agree = (found["convolutions"] == stated.CONVOLUTIONS, tuple(found["sides"]) == stated.FIG_1)
    ours = f"{found['convolutions']} layers; {found['sides'][0]} px in, {found['sides'][-1]} px out"
    same = sum(a == b for a, b in zip(found["sides"], stated.FIG_1, strict=False))
    reason = f"{same} of {len(stated.FIG_1)} sides of Fig. 1 agree; that makes {found['parameters']:,} parameters."
    return Finding((NOT, PARTLY, REPRODUCED)[sum(agree)], ours, (COUNTED,), "none needed", 0, reason)


def seamless(evidence: Evidence) -> Finding:
    """C2: reproduced if tiled and untiled scores differ by rounding only (`SEAM`), not if by more than `GAP`."""
    tiled, off = evidence.live["tiled"], evidence.live["off_grid"]
    verdict = REPRODUCED if tiled <= SEAM else PARTLY if tiled <= GAP else NOT
    reason = (
        "Provided that tiles start on the grid of the poolings, every 16 px. In steps of 388 px, the width of the "
        f"paper's output, scores of this network of random weights would differ by {off:.2g} standard deviations."
    )
    ours = f"largest difference {tiled:.6f} standard deviations of the scores"
    return Finding(verdict, ours, (LIVE,), evidence.live["source"], 1, reason)


def redundancy(evidence: Evidence) -> Finding:
    """C3: reproduced if windows one by one take at least `FEWER` times the operations; partly if they take more."""
    work = evidence.counted["operations"]
    ratio, dense = work["windows"] / work["unet"], work["dense"] / work["unet"]
    verdict = REPRODUCED if ratio >= FEWER else PARTLY if ratio > 1 else NOT
    seconds = evidence.live.get("seconds_ratio")
    timed = f", {seconds:.0f} times the seconds" if seconds else ""
    reason = (
        "True of windows that are run one by one, as they were. The repetition can be avoided without another network: "
        f"all windows at once take {dense:.2f} times the operations of the U-Net."
    )
    kinds = (COUNTED, LIVE) if seconds else (COUNTED,)
    return Finding(verdict, f"{ratio:.0f} times the operations{timed}", kinds, "512 × 512 px", 0, reason)


def context(evidence: Evidence) -> Finding:
    """C4: as the comparison with windows, hypercolumns and the fully convolutional network says."""
    return _studied(evidence, "C4")


def unit_variance(evidence: Evidence) -> Finding:
    """C5: reproduced if `MOST` maps are `NEAR_ONE` and other rules leave it; partly if only layers as a whole are."""
    low, high = NEAR_ONE
    found = evidence.live["signals"]
    layers = all(low < value < high for value in found["layers"])
    others = all(min(values) < low for values in found["other_rules"].values())
    maps = min(found["maps_down"], found["maps_up"])
    verdict = NOT if not (layers and others) else REPRODUCED if maps >= MOST else PARTLY
    ours = f"layers {min(found['layers']):.2f} to {max(found['layers']):.2f}; maps near 1: "
    ours += f"{found['maps_down']:.0%} on the way down, {found['maps_up']:.0%} on the way up"
    lowest = ", ".join(f"{name} {min(values):.2g}" for name, values in found["other_rules"].items())
    reason = (
        "All maps of a layer together keep a standard deviation near 1, and lose it by other rules "
        f"(lowest: {lowest}). Single maps do not: images in [0, 1] give each map a level of its own."
    )
    return Finding(verdict, ours, (LIVE,), evidence.live["source"], found["draws"], reason)


def momentum(evidence: Evidence) -> Finding:
    """C6: partly by arithmetic alone, if tiles beyond the last ten have most of a step; else as trainings say."""
    study, m = _studied(evidence, "C6"), evidence.counted["momentum"]
    hundred, quiet, beyond = 1 - m**100, (1 + m) / (1 - m), m**10
    ours = f"the last 100 tiles make {hundred:.0%} of a step, as quiet as a mean of {quiet:.0f}"
    waits = " Whether a network learns as with a large batch, only trainings can say." if study.verdict == OPEN else ""
    reason = f"That the last 100 tiles make {hundred:.0%} of a step is arithmetic.{waits}"
    own = Finding(PARTLY if beyond > 0.5 else NOT, ours, (COUNTED,), "none needed", 0, reason)
    return _with_study(own, study)


def gaps(evidence: Evidence) -> Finding:
    """C7: reproduced if the border term leaves fewer mergers in every pair of runs, partly if over all of them."""
    study = _studied(evidence, "C7")
    pairs = [evidence.runs(name) for name in ("dic-hela-narrow", "dic-hela-no-border")]
    with_term, without = (
        {(run["fold"], run.get("seed", 0)): run["scores"]["none"]["merged"] for run in runs} for runs in pairs
    )
    both = sorted(with_term.keys() & without.keys())
    if not both:
        return study
    fewer = [with_term[run] < without[run] for run in both]
    total = sum(with_term[run] for run in both), sum(without[run] for run in both)
    verdict = REPRODUCED if all(fewer) else PARTLY if total[0] < total[1] else NOT
    ours = f"DIC-HeLa: {total[0]} merged cells with the border term, {total[1]} without"
    reason = f"Fewer mergers in {sum(fewer)} of {len(both)} pairs of runs, at one threshold.{_em_weights(evidence)}"
    own = Finding(verdict, ours, (RECORDED,), "DIC-HeLa, the other sequence", len(both), reason)
    return _with_study(own, study)


def elastic(evidence: Evidence) -> Finding:
    """C8: as the study of augmentation says."""
    return _studied(evidence, "C8")


def dropout(evidence: Evidence) -> Finding:
    """C9: as the study of dropout says."""
    return _studied(evidence, "C9")


def sliding_window(evidence: Evidence) -> Finding:
    """C11: as the comparison with the network of windows says."""
    return _studied(evidence, "C11")


def speed(evidence: Evidence) -> Finding:
    """C14: reproduced if a GPU took less than the paper's second, not if more; partly if a processor did."""
    gpu = evidence.benchmarks.get("gpu_benchmark") or {}
    times = {way: row["shortest_seconds"] for way, row in gpu.get("prediction", {}).items() if way.startswith("once")}
    if times:
        way = min(times, key=times.get)
        verdict = REPRODUCED if times[way] < stated.SECONDS else NOT
        ours = f"{times[way]:.3f} s ({way.removeprefix('once, ')})"
        reason = f"Measured on {gpu['device']}, a later GPU than the paper's."
        return Finding(verdict, ours, (RECORDED,), "one section of 512 × 512 px", 1, reason)
    missing = ("gpu_benchmark.json",)
    marks = evidence.benchmarks.get("benchmarks") or {}
    seconds = _recorded_image(marks)
    if seconds is None:
        return Finding(OPEN, missing=missing, reason="Nobody has timed the full network yet.")
    machine = marks["machine"]
    verdict = PARTLY if seconds < stated.SECONDS else OPEN  # a slow processor says nothing about a GPU
    ours = f"no GPU; {machine['cores']} processor cores: {seconds:.2f} s for the image, in a single tile"
    reason = f"Measured in bfloat16 on {machine['cpu']}; on a GPU it is not examined."
    return Finding(verdict, ours, (RECORDED,), "one image of 512 × 512 px", 1, reason, missing)


def training_time(evidence: Evidence) -> Finding:
    """C15: reproduced if the paper's network, by its own optimiser, trained in at most the paper's hours."""
    full = evidence.runs("em-full")
    if full:
        hours = [run["seconds"]["training"] / 3600 for run in full]
        verdict = REPRODUCED if max(hours) <= stated.HOURS else NOT
        reason = f"On {full[0]['device']}, a later device than the paper's."
        return learned(Finding(verdict, f"{mean_and_range(hours, 2)} h", (RECORDED,), "EM", len(full), reason))
    runs = [run for name in EM_RUNS for run in counted_folds(evidence.runs(name))]
    longest = max(runs, key=lambda run: run["seconds"]["training"], default=None)
    ours = "–" if longest is None else f"a narrow network: {shortfall([longest], short=True)}"
    reason = "The paper's network has not been trained at full size; narrow ones say nothing about its hours."
    kinds = (RECORDED,) if longest else ()
    return Finding(OPEN, ours, kinds, "EM" if longest else "–", int(bool(longest)), reason, ("em-full-fold4.json",))


def memory(evidence: Evidence) -> Finding:
    """C16: reproduced if a GPU's measured peak fits; partly if the counted lower bound does; else not."""
    least = evidence.counted["training_bytes"] / 1e9
    rows = (evidence.benchmarks.get("gpu_benchmark") or {}).get("memory", [])
    wanted = [row for row in rows if (row["tile_px"], row["precision"]) == (stated.FIG_1[0], "float32")]
    peak = next((row["peak_memory_bytes"] / 1e9 for row in wanted if row.get("peak_memory_bytes")), None)
    ours, data = f"at least {least:.2f} GB", f"a step of {stated.FIG_1[0]} px, float32"
    if peak is not None:
        verdict, reason = REPRODUCED if peak <= stated.GIGABYTES else NOT, f"Measured peak: {peak:.2f} GB."
        return Finding(verdict, f"{ours}, peak {peak:.2f} GB", (COUNTED, RECORDED), data, 1, reason)
    verdict = PARTLY if least <= stated.GIGABYTES else NOT
    reason = "A lower bound: work space and the framework come on top, and no GPU has been measured."
    return Finding(verdict, ours, (COUNTED,), data, 0, reason, ("gpu_benchmark.json",))


JUDGES: tuple[Callable[[Evidence], Finding], ...] = (
    *(network, seamless, redundancy, context, unit_variance, momentum, gaps, elastic, dropout),
    *(microscopy, sliding_window, u373, dic_hela, speed, training_time, memory, three_tasks),
)
# What has to be recorded before a comparison or an ablation can say anything.
AWAITED = {
    "C4": ("rival-*.json",),
    "C6": ("study-optimisers.json",),
    "C7": ("study-weights.json",),
    "C8": ("study-augmentation.json",),
    "C9": ("study-dropout.json",),
    "C11": ("rival-n4-*.json and rival-unet-5-*.json",),
}


def _studied(evidence: Evidence, name: str) -> Finding:
    open_yet = Finding(OPEN, reason="Not examined yet: no trainings are recorded.", missing=AWAITED[name])
    return learned(evidence.studies.get(name, open_yet))


def _with_study(own: Finding, study: Finding) -> Finding:
    """Return our own finding as long as a study says nothing; then the study decides, and both are shown."""
    if study.verdict == OPEN:
        return learned(replace(own, missing=own.missing + study.missing))
    return Finding(
        study.verdict,
        f"{own.ours}; {study.ours}",
        tuple(dict.fromkeys(own.kinds + study.kinds)),
        study.data,
        study.runs,
        f"{study.reason} {own.reason}",
        study.missing,
    )


def _em_weights(evidence: Evidence) -> str:
    """Say what the study of weights on the sections 12-17 found, if both ends of it are recorded."""
    plain, full = (evidence.runs(f"em-weights-{name}") for name in ("plain", "eq2"))
    if not (plain and full):
        return ""
    without, with_them = (runs[0]["scores"]["8 symmetries"]["warping_error"] for runs in (plain, full))
    return f" One run each on the sections 12-17: warping error {with_them:.6f} with Eq. 2, {without:.6f} without."


def _recorded_image(benchmarks: Mapping) -> float | None:
    rows = benchmarks.get("rooms", {}).get("network", {}).get("comparisons", [])
    named = "image of 512 × 512 px, 64 channels"
    return next((row["ours_ms"] / 1000 for row in rows if row["what"] == named), None)
