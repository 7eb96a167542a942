"""What is said of accuracies, from answers that are known."""

from __future__ import annotations

from chipflow.report.prospects import prospects

RIGHT, LOST, GAINED, WRONG = (True, True), (True, False), (False, True), (False, False)


def text(right: list[tuple[bool, bool]], published: tuple[float, float] | None = None) -> str:
    return "\n".join(prospects("one", "other", right, published).lines())


def test_few_recordings_tell_nothing() -> None:
    told = text([RIGHT] * 4)
    assert "100.0% [39.8%, 100.0%]" in told
    assert "So few recordings find no loss at all" in told


def test_a_loss_that_shows() -> None:
    found = prospects("one", "other", [RIGHT] * 80 + [LOST] * 18 + [GAINED] * 2, None)
    assert (found.lost, found.gained) == (18, 2)
    assert found.p_value < 0.001
    assert "tells them apart" in "\n".join(found.lines())
    assert found.needed is None


def test_published_accuracies_are_placed() -> None:
    told = text([RIGHT] * 94 + [LOST] * 5 + [WRONG], (0.985, 0.954))
    for words in (
        "98.5% (inside the interval of the stage one) and 95.4% (inside the interval of the stage other)",
        "above the interval of the stage other, so that the stage is worse",
        "does not tell them apart",
        "3.1 points is below what so many recordings can find",
        "about 254 recordings",
        "480 for each",
    ):
        assert words in told
    better = text([RIGHT] * 100, (0.5, 0.4))
    assert "below the interval of the stage other, so that the stage is better" in better
    assert "10.0 points is within" in better
