"""Command-line options that both parts of the tutorial have."""

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from mnist_data import DataError, Mnist, load_mnist


def parse(parser: ArgumentParser, argv: Sequence[str] | None) -> tuple[Namespace, Mnist]:
    """The options, and the data that --data names; without the data the program ends here and says what to do (exit code 2)."""
    around = Path(os.environ.get("CHIPFLOW_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser.add_argument(
        "--data", type=Path, default=around / "mnist", metavar="DIR", help="the MNIST files (default: %(default)s)"
    )
    args = parser.parse_args(argv)
    try:
        return args, load_mnist(args.data)
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
