"""Render one Safelight node of a script without a GUI: for farms.

    nuke -t safelight_terminal.py SCRIPT.nk NODE [FRAMES]

FRAMES as Nuke writes them; by default what the node says. The script is not saved: the frames land in the cache, where
a second run, or the artist's Render, finds them. Exit status 0 done, 1 failed, 2 wrong use. Python 3.7.
"""

from __future__ import annotations

import sys

import safelight_panel

import nuke


def main(arguments: list[str]) -> int:
    """Open the script, render, say where the frames are."""
    if len(arguments) not in (2, 3):
        sys.stderr.write("usage: nuke -t safelight_terminal.py SCRIPT.nk NODE [FRAMES]\n")
        return 2
    try:
        nuke.scriptOpen(arguments[0])
        node = nuke.toNode(arguments[1])
        if node is None:
            sys.stderr.write(f"error: there is no node '{arguments[1]}' in {arguments[0]}\n")
            return 2
        job = safelight_panel.render_now(node, arguments[2] if len(arguments) == 3 else "")
    except Exception as error:
        sys.stderr.write(f"error: {safelight_panel.words_of(error)}\n")
        return 1
    sys.stdout.write(f"{job.folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
