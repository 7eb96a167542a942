"""The command line. Exit 0: fine; 1: the input was judged and found wanting, or differs; 2: wrong use."""

from chipflow.cli import check, chips, compare, compile, demo, devices, diff, doctor, events, replay, run  # noqa: F401  # each adds its command
from chipflow.cli.app import app

__all__ = ["app"]
