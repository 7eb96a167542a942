"""Event file formats: one module each, a registry, and recognition by the first bytes.

A reader takes a path and `Notes`, refuses what it cannot read at once (`EventFileError`), and returns an iterator of `Block`: columns
as they are stored, bounded in size, with times made to go on across the wraps of the format. Where the file is damaged it raises
`Damaged` after the last good block. Range, order and sign of the values are judged in one place, `chipflow.events.event_file`.
"""

from chipflow.events.formats.base import Block, Damaged, Format, Head, Notes
from chipflow.events.formats.registry import FORMATS, recognise

__all__ = ["FORMATS", "Block", "Damaged", "Format", "Head", "Notes", "recognise"]
