"""The engine, in a process of its own. Python 3.7, standard library only."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 20.0
"""Seconds that a stopped engine gets to finish the tile it is at."""
_NOT_OURS = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "QT_PLUGIN_PATH")


class EngineError(Exception):
    """What the engine said was wrong, in its own words."""


class EngineStopped(Exception):
    """The engine was stopped on request."""


def environment(host_folder: str, env: Any = None) -> dict[str, str]:
    """Return the environment without what Nuke sets for its own Python."""
    made = {name: value for name, value in (os.environ if env is None else env).items() if name not in _NOT_OURS}
    if host_folder and made.get("LD_LIBRARY_PATH"):
        kept = [part for part in made["LD_LIBRARY_PATH"].split(os.pathsep) if not part.startswith(host_folder)]
        made["LD_LIBRARY_PATH"] = os.pathsep.join(kept)
    made["PYTHONIOENCODING"] = "utf-8"
    return made


class Engine:
    """Runs `safelight …`."""

    def __init__(self, command: list[str], host_folder: str = "") -> None:
        if not command:
            raise EngineError(
                "this machine does not know where the Safelight engine is. "
                "Run 'safelight nuke install', or set SAFELIGHT_ENGINE to the safelight command."
            )
        self.command = command
        self.env = environment(host_folder)

    def version(self) -> str:
        """Return the engine's version."""
        return self.run(["--version"]).strip().rpartition(" ")[2]

    def check(self, document: str, frames: str) -> dict[str, Any]:
        """Return what a render would do; see `safelight check --json`."""
        arguments = ["check", document, "--json"] + (["--frames=" + frames] if frames else [])
        output = self.run(arguments)
        try:
            found = json.loads(output)
        except ValueError:
            raise EngineError(f"the engine's answer is no JSON: {output[:200]!r}. Is {self.command[0]} Safelight?")
        return dict(found)

    def run(self, arguments: list[str], timeout: float = 600.0) -> str:
        """Run a short command; return its standard output. Raises EngineError with what it says on standard error."""
        process = self._start(arguments)
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            raise EngineError(f"the engine did not answer '{arguments[0]}' in {timeout:.0f} s and was stopped")
        if process.returncode:
            raise EngineError(_reason(errors.splitlines(), process.returncode))
        return str(output)

    def render(
        self,
        document: str,
        frames: str,
        progress: Callable[[float, str], None],
        cancelled: Callable[[], bool],
    ) -> list[str]:
        """Render; return what the engine remarked.

        Parameters
        ----------
        progress:
            Told percent (0 to 100) and what is being done.
        cancelled:
            Asked ten times a second; the engine stops between two tiles, frames that are whole stay.
        """
        arguments = ["render", document, "--resume", "--progress", "openjd"]
        process = self._start(arguments + (["--frames=" + frames] if frames else []))
        lines: queue.Queue[tuple[str, str]] = queue.Queue()
        readers = [
            threading.Thread(target=_pump, args=(stream, name, lines), daemon=True)
            for stream, name in ((process.stdout, "out"), (process.stderr, "err"))
        ]
        for reader in readers:
            reader.start()
        said: list[str] = []
        percent, stage = 0.0, "starting"
        try:
            while process.poll() is None or not lines.empty() or any(reader.is_alive() for reader in readers):
                if cancelled():
                    raise EngineStopped
                try:
                    name, line = lines.get(timeout=0.1)
                except queue.Empty:
                    continue
                if line.startswith("openjd_progress: "):
                    percent = _number(line, percent)
                elif line.startswith("openjd_status: "):
                    stage = line.partition(": ")[2]
                elif name == "err":
                    said.append(line)
                    continue
                progress(percent, stage)
        finally:
            # Also where Nuke itself is stopped (Ctrl-C in a terminal): no engine is left behind.
            _end(process)
            for reader in readers:
                reader.join(5)
        if process.returncode:
            raise EngineError(_reason(said, process.returncode))
        return [line for line in said if line.startswith("note: ")]

    def _start(self, arguments: list[str]) -> Any:
        extra: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {"creationflags": 0x08000200}
        try:
            return subprocess.Popen(
                self.command + arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.env,
                universal_newlines=True,
                encoding="utf-8",
                errors="replace",
                **extra,
            )
        except OSError as error:
            raise EngineError(
                f"the engine {self.command[0]} cannot be started: {error.strerror or error}. "
                "Run 'safelight nuke install' again, or set SAFELIGHT_ENGINE."
            )


def _pump(stream: Any, name: str, lines: queue.Queue[tuple[str, str]]) -> None:
    for line in stream:
        lines.put((name, line.rstrip("\r\n")))
    stream.close()


def _end(process: Any) -> None:
    """See that a process has ended: asked first, then made to."""
    if process.poll() is None:
        process.terminate()
        limit = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
        if process.poll() is None:
            process.kill()
            process.wait()


def _number(line: str, otherwise: float) -> float:
    try:
        return min(100.0, max(0.0, float(line.partition(": ")[2])))
    except ValueError:
        return otherwise


def _reason(lines: list[str], status: int) -> str:
    """Return the engine's own words for what went wrong."""
    errors = [line[len("error: ") :] for line in lines if line.startswith("error: ")]
    if errors:
        return errors[-1]
    rest = [line for line in lines if line.strip()]
    return rest[-1] if rest else f"the engine ended with status {status} and said nothing"
