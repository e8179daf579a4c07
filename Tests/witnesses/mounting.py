"""Mounts and the sandbox for these witnesses: those of the torture test, with what is needed besides."""
import os
import sys
from pathlib import Path

TOOLS = Path(__file__).parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

from torture import stage  # noqa: E402
from torture.stage import Sandbox, Trouble, eventually, start_time  # noqa: E402,F401


class Mount(stage.Mount):
    def end_of_log(self) -> str:
        """For the message of a failure."""
        try:
            return "\n" + "".join(Path(self.log).read_text(encoding="utf-8", errors="replace").splitlines(True)[-40:])
        except FileNotFoundError:
            return ""
