"""A shot restored from a list of facts in a text file: for hosts' own scripts, which know no Python.

The request and the answer are lines `name=value`. The script does the talking to Resolve; this does the rest.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from safelight.graph.errors import GraphError
from safelight.host_adapters.resolve.engine import run_engine
from safelight.host_adapters.resolve.job import MARK, Engine, Options, restore, source_hash
from safelight.host_adapters.resolve.project import Colour
from safelight.host_adapters.resolve.pull import Media, pull_direct
from safelight.host_adapters.resolve.shots import JOB, made_from, slug, why_not

NEEDED = ("name", "item", "path", "frames", "offset", "duration", "shown", "rate", "own_rate")


def read_request(path: Path) -> dict[str, str]:
    """Read a request. Raises GraphError where it is none, or lacks a fact."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise GraphError("the request cannot be read", file=path) from None
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise GraphError(f"the request does not say {', '.join(missing)}", file=path)
    return found


def restore_request(
    request: dict[str, str],
    options: Options,
    tell: Callable[[str], None],
    cancel: threading.Event,
    engine: Engine = run_engine,
) -> dict[str, str]:
    """Restore the shot of a request; return where its pictures are, and what to tell Resolve.

    Raises as `job.run_job` does.
    """
    where = f"shot '{request['name']}'"
    try:
        frames, offset, duration, shown = (
            int(float(request[name])) for name in ("frames", "offset", "duration", "shown")
        )
        rates = float(request["own_rate"]), float(request["rate"])
    except ValueError:
        raise GraphError("the request holds something that is no number", where=where) from None
    media = Media(request["path"], frames, offset, duration, request.get("space", ""))
    made = made_from(request["path"])
    if made is not None:
        media = Media(made["path"], made["frames"], made["offset"], duration, made["space"])
    refused = why_not(media, shown, rates)
    if not refused and not media.readable:
        refused = (
            f"'{Path(media.path).suffix}' files are not read: only the Studio edition's script lets Resolve render"
        )
    if refused:
        raise GraphError(refused, where=where)
    colour = Colour()
    job = source_hash(media, options, colour)
    folder = options.output.absolute() / f"{slug(request['name'])}_{job}"
    pull = pull_direct(media, options.handles)
    target = restore(request["name"], pull, options, colour, folder, tell, cancel, engine)
    facts = {
        "safelight": version("safelight"),
        "job": job,
        "source": {
            "item": request["item"], "back": "take", "path": media.path, "frames": media.frames,
            "offset": media.offset, "space": media.space,
        },
    }  # fmt: skip
    (folder / JOB).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    digits = target.name.count("#")
    return {
        "path": str(target.parent / target.name.replace("#" * digits, f"%0{digits}d")),
        "first": str(pull.first),
        "last": str(pull.last),
        "start": str(pull.shown - pull.first),
        "space": pull.space,
        "mark": MARK + job,
    }
