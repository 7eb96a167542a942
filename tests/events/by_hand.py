"""Files of formats that few libraries write, byte by byte from the published layouts; words and packets in the order of the events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

Events = Sequence[tuple[int, int, int, int]]
"""(x, y, t in microseconds, polarity), in the order of time."""


def ramp(times: Iterable[int]) -> list[tuple[int, int, int, int]]:
    """One event at each of these times, at different places."""
    return [((7 * k) % 30, (3 * k) % 20, int(t), k % 2) for k, t in enumerate(times)]


def aedat2(events: Events, camera: str = "eu.seebetter.ini.chips.davis.DAVIS240C", others: Sequence[int] = ()) -> bytes:
    """AEDAT 2 (docs.inivation.com): big-endian address and time; `others` are addresses of words that are no events, put first."""
    header = f"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# AEChip: {camera}\r\n".encode()
    davis = [(y << 22) | (x << 12) | (p << 11) for x, y, _, p in events]
    dvs128 = [
        (y << 8) | (x << 1) | (1 - p) for x, y, _, p in events
    ]  # jAER, DVS128.Extractor: "the ON events have raw polarity 0"
    addresses = davis if "davis" in camera.lower() else dvs128
    first = events[0][2] if events else 0
    pairs = [(address, first) for address in others] + [(a, t) for a, (_, _, t, _) in zip(addresses, events, strict=True)]
    return header + np.array([(a, t & 0xFFFFFFFF) for a, t in pairs], [("a", ">u4"), ("t", ">u4")]).tobytes()


AEDAT3_HEADER = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS240C\r\n#Start-Time: 2017-10-31 11:29:21\r\n#!END-HEADER\r\n"


def aedat3(events: Events, invalid: int = 0, frame_bytes: int = 0, packet_events: int = 100, camera: int = 1) -> bytes:
    """AEDAT 3.1 (docs.inivation.com): packets of polarity events, a new one at each wrap of 31 bits; `invalid` events are put first."""
    packets = [_packet(2, frame_bytes, 1, 1, 0, bytes(frame_bytes))] if frame_bytes else []
    packets += [_packet(1, 8, invalid, 0, 0, bytes(8 * invalid))] if invalid else []
    groups: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    for k, event in enumerate(events):
        groups.setdefault((event[2] >> 31, k // packet_events), []).append(event)
    for (wraps, _), group in groups.items():
        words = [((x << 17) | (y << 2) | (p << 1) | 1, t & 0x7FFFFFFF) for x, y, t, p in group]
        packets.append(_packet(1, 8, len(group), len(group), wraps, np.array(words, "<u4").tobytes(), camera))
    return AEDAT3_HEADER + b"".join(packets)


def _packet(kind: int, size: int, number: int, valid: int, wraps: int, data: bytes, camera: int = 1) -> bytes:
    return np.array([kind, camera], "<i2").tobytes() + np.array([size, 4, wraps, number, number, valid], "<i4").tobytes() + data


def dat(events: Events, kind: int = 0x0C) -> bytes:
    """DAT (docs.prophesee.ai): 32 bits of time, then x and y of 14 and polarity of 4 bits."""
    words = [(t & 0xFFFFFFFF, x | (y << 14) | (p << 28)) for x, y, t, p in events]
    return (
        b"% Data file containing CD events.\n% Version 2\n% Height 480\n% Width 640\n"
        + bytes([kind, 8])
        + np.array(words, "<u4").tobytes()
    )


def evt2(events: Events, header: bytes = b"% evt 2.0\n% geometry 640x480\n% end\n") -> bytes:
    """EVT 2 (docs.prophesee.ai): 28 high bits of time in words of their own."""
    words, high = [], -1
    for x, y, t, p in events:
        if t >> 6 != high:
            high = t >> 6
            words.append((8 << 28) | (high & 0xFFFFFFF))
        words.append((p << 28) | ((t & 63) << 22) | (x << 11) | y)
    return header + np.array(words, "<u4").tobytes()


def evt3(events: Events, header: bytes = b"% evt 3.0\n% geometry 640x480\n% end\n") -> bytes:
    """EVT 3 (docs.prophesee.ai): a word for each of the 12 high and 12 low bits of time, y, and x with polarity; every high time is
    written, as a camera does."""
    words, high = [], None
    for x, y, t, p in events:
        while high is None or high < t >> 12:
            high = t >> 12 if high is None else high + 1
            words.append(0x8000 | (high & 0xFFF))
        words += [0x6000 | (t & 0xFFF), y, 0x2000 | (p << 11) | x]
    return header + np.array(words, "<u2").tobytes()


def nmnist(events: Events, marks: Sequence[int] = ()) -> bytes:
    """N-MNIST (event-Python): five bytes an event; before the events whose index is in `marks` comes a mark of 2^13 us."""
    data, added = b"", 0
    for k, (x, y, t, p) in enumerate(events):
        if k in marks:
            data += bytes([0, 240, 0, 0, 0])
            added += 1 << 13
        data += bytes([x, y]) + ((p << 23) | (t - added)).to_bytes(3, "big")
    return data


def event_stream(events: Events, width: int = 32, height: int = 24) -> bytes:
    """Event Stream 2 (github.com/neuromorphicsystems/event_stream): five bytes an event, 0xff for 127 us without one."""
    data, last = b"Event Stream" + bytes([2, 0, 0, 1]) + np.array([width, height], "<u2").tobytes(), 0
    for x, y, t, p in events:
        skips, rest = divmod(t - last, 127)
        data += b"\xff" * skips + bytes([(rest << 1) | p]) + np.array([x, y], "<u2").tobytes()
        last = t
    return data
