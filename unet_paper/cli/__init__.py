"""The command line: `python -m unet_paper COMMAND`. One file per command."""

from __future__ import annotations

import argparse
import sys

from unet_paper.cli import evaluate, fetch, reproduce, score, segment, track, train

# Each has `add_parser(subparsers)`, which sets `run` to a function of the parsed arguments.
COMMANDS = (evaluate, fetch, reproduce, score, segment, track, train)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with one sub-command per module of this package."""
    parser = argparse.ArgumentParser(prog="python -m unet_paper", description="The U-Net paper, executed.")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors that a user can mend become one line on standard error and exit status 2."""
    options = build_parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except (ValueError, TypeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
