"""`python -m unet_paper evaluate LABELS PROBABILITY`: score a map of EM sections as the challenge does."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path

import unet_paper as up

_TITLES = {
    "warping_error": "warping error (splits, merges)",
    "warping_error_all_types": "warping error (all types)",
    "rand_error": "Rand error (2015)",
    "rand_error_2012": "Rand error (2012)",
    "pixel_error": "pixel error (1 - F-score)",
    "pixel_difference": "differing pixels",
    "v_rand": "V_Rand, thinned (1 is best)",
    "v_info": "V_Info, thinned (1 is best)",
}


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser("evaluate", help="score a probability map by the EM challenge's measures")
    parser.add_argument("labels", type=Path, help="TIFF, one section or a stack: 0 membrane, above 0 cell")
    parser.add_argument("probability", type=Path, help="TIFF of the same size: probability of cell, floats in [0, 1]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all values at all thresholds")
    parser.add_argument("--rescale", action="store_true", help="divide an 8- or 16-bit map by 255 or 65535")
    parser.set_defaults(run=run, stopped=stopped)


def run(options: Namespace) -> int:
    """Print the table, and write the JSON file where one was asked for."""
    if options.json is not None:
        check_report(options.json, "--json", options.labels, options.probability)
    labels = up.datasets.tiff.read_tiff(options.labels, rank=3, fix="pass the annotation as a TIFF stack")
    probability = up.datasets.tiff.read_tiff(options.probability, rank=3, fix="write the map again")
    if probability.dtype.kind in "iu" and not options.rescale:
        raise ValueError(
            f"{options.probability} holds whole numbers: `unet-paper score MASKS REFERENCE` compares masks of cells "
            "(SEG, DET, F1); of an 8- or 16-bit map, say --rescale"
        )
    scores = up.metrics.em_scores(labels, probability, rescale=options.rescale)
    print(_format_table(scores))
    if options.json is not None:
        up.files.write_json(options.json, _as_json(scores))
    return 0


def check_report(path: Path, option: str, *scored: Path) -> None:
    """Refuse a file for scores that cannot be written, or would replace what is scored, before any time is spent."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is no folder; create it first")
    up.atomic.check_writable(path.parent)
    if path.resolve() in [each.resolve() for each in scored] or path.suffix.lower() in up.datasets.image_files.ENDINGS:
        raise ValueError(f"{option} would replace {path}, which may be an image to be scored; name another file")


def stopped(options: Namespace) -> str:
    """Say what is there after Ctrl-C."""
    written = "nothing was" if options.json is None else f"{options.json} was not"
    return f"{written} written; the same command begins anew"


def _format_table(scores) -> str:
    """Return one line per measure of an `EMScores`: name, best value, threshold."""
    lines = [f"{'measure':32}{'best':>10}{'threshold':>11}"]
    for name, title in _TITLES.items():
        lines.append(f"{title:32}{getattr(scores, name):10.6f}{scores.best_threshold[name]:11.1f}")
    return "\n".join(lines)


def _as_json(scores) -> dict:
    """Return an `EMScores` as plain numbers and lists; NaN (no shared information) becomes None."""
    return {
        "best": {name: getattr(scores, name) for name in _TITLES},
        "best_threshold": scores.best_threshold,
        "curves": {name: [_finite(value) for value in curve.tolist()] for name, curve in scores.curves.items()},
        "warping_counts": {name: counts.tolist() for name, counts in scores.warping_counts.items()},
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
