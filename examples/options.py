"""Command-line options that the examples have in common."""

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

Data = TypeVar("Data")


class DataError(Exception):
    """Files of a data set that are missing, or that are not what their names say."""


def parse(
    parser: ArgumentParser, argv: Sequence[str] | None, load: Callable[[Path], Data], folder: str
) -> tuple[Namespace, Data]:
    """The options, and the data that --data names; without the data the program ends here and says what to do (exit code 2)."""
    around = Path(os.environ.get("CHIPFLOW_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser.add_argument(
        "--data", type=Path, default=around / folder, metavar="DIR", help="folder with the data set (default: %(default)s)"
    )
    args = parser.parse_args(argv)
    try:
        return args, load(args.data)
    except DataError as error:
        parser.error(str(error))


def at_least(least: int) -> Callable[[str], int]:
    """Reads a number of images or epochs."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least}")
        return int(text)

    return read


def existing_file(text: str) -> Path:
    """A file to read."""
    if not Path(text).is_file():
        raise ArgumentTypeError(f"there is no file {text}")
    return Path(text)
