"""chipflow devices."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from chipflow import open_device
from chipflow.backends import opening
from chipflow.backends.opening import DeviceInfo
from hwconfig import chip_names
from tests.cli.command_line import chipflow

BOARDS = [
    DeviceInfo("speck2fdevkit:0", "board", "speck2f", note="serial 17"),
    DeviceInfo("speck2edevkit:0", "board", "speck2e", free=False, note="held by process 4"),
]


def test_emulators_are_always_there():
    document = chipflow("devices", "--json").document
    listed = [device["name"] for device in document["devices"]]
    assert listed[: len(chip_names()) + 1] == ["emulator", *(f"emulator:{chip}" for chip in chip_names())]
    for device in document["devices"]:
        if device["kind"] == "emulator":
            assert device["free"]
            with open_device(device["name"]) as opened:
                assert (opened.chip.name if opened.chip else "") == device["chip"]


def test_text_has_a_line_for_each():
    text = chipflow("devices").out
    for device in opening.devices():
        row = next(line.split() for line in text.splitlines() if line.split()[:1] == [device.name])
        assert device.kind in row
        assert ("free" if device.free else "held") in row


def test_boards_are_listed_with_what_is_known_of_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(opening, "devices", lambda: [DeviceInfo("emulator", "emulator", ""), *BOARDS])
    text = chipflow("devices").out
    assert "boards:" not in text
    for device, words in zip(BOARDS, ("free", "held"), strict=True):
        row = next(line for line in text.splitlines() if device.name in line)
        for word in (device.kind, device.chip, words, device.note):
            assert word in row
    document = chipflow("devices", "--json").document
    assert document["devices"][1:] == [asdict(device) for device in BOARDS]
    assert document["remark"] == ""


@pytest.mark.parametrize(("kind", "words"), [("missing", "do this"), ("stub", "do this"), ("found", "plugged in")])
def test_without_boards_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, kind: str, words: str):
    from chipflow.backends import samna

    class State:
        advice = "do this"

    State.kind = kind
    monkeypatch.setattr(samna, "package_state", State)
    monkeypatch.setattr(samna, "boards", list)
    assert words in chipflow("devices").out
    assert words in chipflow("devices", "--json").document["remark"]
