"""Program and configuration files, changed as a person or an accident would change them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Document = dict[str, Any]


def config_part(document: Document) -> Document:
    """The configuration in a program file, or the whole of a bare one."""
    return document.get("config", document)


def edit(path: str, change: Callable[[Document], None]) -> str:
    """Writes `edited`: the file with `change` applied to its configuration, the hash left as it was."""
    return edit_whole(path, lambda document: change(config_part(document)))


def edit_whole(path: str, change: Callable[[Document], None]) -> str:
    """Writes `edited`: the file with `change` applied to the whole document."""
    document = json.loads(Path(path).read_text())
    change(document)
    Path("edited").write_text(json.dumps(document))
    return "edited"


def first_core(config: Document) -> Document:
    return config["cnn_layers"][min(config["cnn_layers"])]


def legal(config: Document) -> None:
    """Another threshold, in its range."""
    first_core(config)["threshold_high"] += 1


def illegal(config: Document) -> None:
    """Two rules broken at once."""
    first_core(config).update(threshold_low=0, output_decimator_interval=99)
