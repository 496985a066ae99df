"""The child process that decodes files nobody trusts: it answers one request after another over pipes.

A message is two lengths, a JSON object, and raw samples. The parent never unpickles or runs anything that comes back.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

LEAD = struct.Struct("<QQ")


def send(stream: BinaryIO, message: dict[str, Any], *payload: Any) -> None:
    """Write one message; `payload` are C-contiguous arrays."""
    text = json.dumps(message).encode()
    stream.write(LEAD.pack(len(text), sum(array.nbytes for array in payload)))
    stream.write(text)
    for array in payload:
        stream.write(memoryview(array).cast("B") if array.nbytes else b"")
    stream.flush()


def _limit(memory: int) -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system: the time limit alone holds
        return
    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard < 0 else min(most, hard),) * 2)


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    import numpy as np

    from safelight.graph.errors import GraphError, SafelightError
    from safelight.nodes.io.files.local import opener

    files = opener(False)
    path = Path(request["path"])
    try:
        if request["do"] == "header":
            return {"header": files.header(path, request["part"]).to_plain()}, []
        if request["do"] == "movie_header":
            return {"header": files.movie_header(path).to_plain()}, []
        if request["do"] == "movie_frame":
            header, blocks = files.movie_frame(path, request["index"])
        else:
            header, blocks = files.samples(path, request["part"], request["channels"])
        arrays = [np.ascontiguousarray(block.samples) for block in blocks]
        shapes = [[block.type, list(array.shape)] for block, array in zip(blocks, arrays, strict=True)]
        return {"header": header.to_plain(), "blocks": shapes}, arrays
    except SafelightError as error:
        kind = "graph" if isinstance(error, GraphError) else "render"
        return {"error": kind, "what": error.what, "remedy": error.remedy}, []
    except MemoryError:
        return {"error": "memory"}, []
    except Exception as error:  # whatever a decoder throws at a hostile file
        text = " ".join(repr(error).split())[:300]
        return {"error": "render", "what": f"cannot be read ({text})", "remedy": ""}, []


def main(memory: int) -> None:
    """Serve until the parent closes its end."""
    # Decoders that print must not print into the answers, nor onto the user's terminal.
    answers = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    _limit(memory)
    for line in sys.stdin.buffer:
        message, payload = _answer(json.loads(line))
        send(answers, message, *payload)
