"""What a path given on the command line holds: a program, or a bare configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chipflow.cli.output import existing

if TYPE_CHECKING:
    from chipflow.backends.base import ClockedConfig
    from chipflow.program import Program
    from hwconfig import ChipConfig, Report


@dataclass(frozen=True)
class Loaded:
    """A file's contents.

    Attributes:
        content: the program, or the bare configuration.
        stale: in words, how its hash no longer matches its contents, or a program's records its configuration; "" where they do.
        readable: whether it is a bare configuration with its arrays as lists.
    """

    content: Program | ChipConfig
    stale: str
    readable: bool = False

    @property
    def config(self) -> ChipConfig:
        """The configuration, the program's where it is one."""
        from chipflow.program import Program

        return self.content.config if isinstance(self.content, Program) else self.content

    def with_config(self, config: ChipConfig) -> Loaded:
        """The same with another configuration."""
        from chipflow.program import Program

        content = replace(self.content, config=config) if isinstance(self.content, Program) else config
        return replace(self, content=content)

    def violations(self, slow_clock_period_us: int | None = None) -> Report:
        """Every design rule broken; a program adds its slow clock, if none is given, and its entries."""
        return self.with_clock(slow_clock_period_us).violations()

    def with_clock(self, slow_clock_period_us: int | None) -> Program | ClockedConfig:
        """What a device can run, with this slow clock; None: with the program's own, or none."""
        from chipflow.backends.base import ClockedConfig
        from chipflow.program import Program

        if not isinstance(self.content, Program):
            return ClockedConfig(self.content, slow_clock_period_us)
        return self.content if slow_clock_period_us is None else replace(self.content, slow_clock_period_us=slow_clock_period_us)

    def contradictions(self) -> list[str]:
        """Where a program's records do not belong to its configuration."""
        from chipflow.program import Program
        from chipflow.program_file import contradictions

        return contradictions(self.content) if isinstance(self.content, Program) else []

    def save(self, path: Path) -> None:
        """Writes it back as it was written, stamped anew."""
        if self.readable:
            self.config.save(path, readable=True)
        else:
            self.content.save(path)


def read(path: Path) -> Loaded:
    """What is in a program file or a bare configuration; ProgramFileError, with the path, if it is neither."""
    from chipflow.errors import ProgramFileError
    from chipflow.program import Program
    from hwconfig import HwconfigError, files

    try:
        document = files.parse(existing(path).read_text(encoding="utf-8"), "program or configuration")
        if document.get("format") != files.FORMAT:
            return Loaded(*Program.read(path))
        return Loaded(*files.read_document(document), readable=_is_readable(document))
    except (OSError, UnicodeDecodeError, HwconfigError) as error:
        raise ProgramFileError(f"{path}: {error}") from None


def _is_readable(document: dict[str, Any]) -> bool:
    """Asked of a document that is a configuration."""
    return any(isinstance(core["weights"], list) for core in document.get("cnn_layers", {}).values())
