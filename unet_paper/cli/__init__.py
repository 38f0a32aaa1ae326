"""The command line: `python -m unet_paper COMMAND`. One file per command."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from unet_paper.cli import evaluate, export, fetch, reproduce, score, segment, track, train
from unet_paper.messages import LIMIT, plain, reason

# Each has `add_parser(subparsers)`, which sets `run` to a function of the parsed arguments, and `stopped` to one that
# says what is there after Ctrl-C and how to go on.
COMMANDS = (evaluate, export, fetch, reproduce, score, segment, track, train)
_STOPPED, _UNREAD = 130, 141  # as a shell reports a program that Ctrl-C ended, and one that nobody listens to any more


class _Parser(argparse.ArgumentParser):
    """A parser whose messages show no control characters of what was typed."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and leave with status 2."""
        super().error(plain(message))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with one sub-command per module of this package."""
    parser = _Parser(prog="python -m unet_paper", description="The U-Net paper, executed.")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Errors that a user can mend become one line on standard error and exit status 2, Ctrl-C one line and status 130.
    """
    options = build_parser().parse_args(arguments)
    with _one_line_each():
        try:
            status = options.run(options) or 0
            sys.stdout.flush()  # a full disk or a closed pipe shows here, not after the end
            return status
        except BrokenPipeError:  # `| head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end of the program
            return _UNREAD
        except KeyboardInterrupt as error:
            return _end(error, f"stopped: {options.stopped(options)}", _STOPPED)
        except (ValueError, TypeError, OSError, RuntimeError, MemoryError) as error:
            return _end(error, f"error: {reason(error)}", 2)


def _end(error: BaseException, line: str, status: int) -> int:
    """Print the last line of a command, on a line of its own, and return the status."""
    traceback.clear_frames(error.__traceback__)  # ends what was going on there: bars get their last line
    print(plain(line), file=sys.stderr)
    return status


class _Lines(logging.Handler):
    """Prints what libraries log as warnings of one line each: they quote files too."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        _warn(record.getMessage())


@contextmanager
def _one_line_each() -> Iterator[None]:
    """Print warnings and what libraries log as one line each, for a while."""
    lines = _Lines(logging.WARNING)
    logging.getLogger().addHandler(lines)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: _warn(message)
            yield
    finally:
        logging.getLogger().removeHandler(lines)


def _warn(message: object) -> None:
    print(f"warning: {plain(message, limit=LIMIT)}", file=sys.stderr)
