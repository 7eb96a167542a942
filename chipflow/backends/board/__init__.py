"""Boards, by the vendor's package, which is handed in: `chipflow.backends.samna` finds and imports it.

bus.py: which boards are there. link.py: one open board, call by call. names.py: what versions call otherwise. listening.py and
heard.py: what a board says. sending.py: what it is told. markers.py and conversation.py: a run. configuring.py, states.py,
power.py: the rest. device.py: all of it as a device.
"""

from chipflow.backends.board.bus import BoardOnBus, boards_on_bus
from chipflow.backends.board.device import BoardDevice

__all__ = ["BoardDevice", "BoardOnBus", "boards_on_bus"]
