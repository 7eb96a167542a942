"""Deployment: one script for the emulator, as in CI, and for a board.

chipflow demo                                  # writes a program and a recording to try it with
python examples/deploy.py demo-output/digits.chipflow demo-output/first-digit.npz
python examples/deploy.py demo-output/digits.chipflow demo-output/first-digit.npz --device speck2fdevkit:0
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from chipflow import Program, open_device
from chipflow.errors import ChipflowError
from chipflow.events import load_events


def main(argv: Sequence[str] | None = None) -> None:
    """Runs each recording, and says what the chip answered and where the events went."""
    parser = ArgumentParser(description="Run recordings through a program, on an emulator or a board.")
    parser.add_argument("program", type=Path, help="what Program.save or chipflow compile wrote")
    parser.add_argument("recordings", type=Path, nargs="+", help="event files")
    parser.add_argument("--device", default="emulator", help="as chipflow devices lists them (default: %(default)s)")
    args = parser.parse_args(argv)
    try:
        program = Program.load(args.program)
        with open_device(args.device) as device:
            for path in args.recordings:
                result = device.run(program, load_events(path), timeout=30)
                print(f"{path.name}: class {result.prediction()} ({result.accounting})")
    except ChipflowError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
