"""An engine that copies its input to its output: what the plug-in does around an engine is tested with it.

The environment says how it misbehaves: FAKE_ENGINE = hang | deaf | fail | silent | garbage | short.
"""

import json
import os
import shutil
import signal
import sys
import time
import tomllib
from importlib.metadata import version
from pathlib import Path


def frames(arguments: list[str]) -> list[int]:
    text = next((one.partition("=")[2] for one in arguments if one.startswith("--frames=")), "")
    found: list[int] = []
    for part in filter(None, text.split(",")):
        span, _, step = part.partition("x")
        ends = [int(end) for end in span.split("-")]
        found += range(ends[0], ends[-1] + 1, int(step or 1))
    return found


def main(arguments: list[str]) -> int:
    mood = os.environ.get("FAKE_ENGINE", "")
    if arguments == ["--version"]:
        print(f"safelight {version('safelight')}")
        return 0
    document = tomllib.loads(Path(arguments[1]).read_text(encoding="utf-8"))
    wanted = frames(arguments)
    reads = {name: node for name, node in document["nodes"].items() if node["type"] == "Read"}
    if arguments[0] == "check":
        if mood == "garbage":
            print("this is no JSON")
            return 0
        text = ",".join(map(str, wanted))
        print(json.dumps({"frames": text, "nodes": [{"name": name, "frames": text, "analysed": ""} for name in reads]}))
        return 0
    if mood == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mood in ("hang", "deaf"):
        print("openjd_status: render", flush=True)
        time.sleep(600)
    if mood == "fail":
        print(
            "note: something first\nerror: node 'Degrain1', frame 1003: the plate is too small. Use a larger one.",
            file=sys.stderr,
        )
        return 1
    if mood == "silent":
        return 9
    if mood != "short":
        first = next(iter(reads.values()))
        for number, frame in enumerate(wanted):
            target = document["nodes"]["safelight_out"]["path"] % frame
            shutil.copyfile(first["path"] % frame, target)
            print(f"openjd_progress: {100 * (number + 1) / len(wanted)}", flush=True)
    return 0


sys.exit(main(sys.argv[1:]))
