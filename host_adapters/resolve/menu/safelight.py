"""Safelight in the menu Workspace > Scripts of DaVinci Resolve. Written by 'safelight resolve install'."""

# Runs in whatever Python Resolve has found: standard library only, and nothing newer than Python 3.7.
import json
import os
import subprocess
import sys
from typing import Any

PYTHON = "@PYTHON@"
VERSION = "@VERSION@"
"""Python that Safelight is installed under: major.minor."""
SITE = "@SITE@"
ARGUMENTS = "@ARGUMENTS@"
"""The command, as JSON."""


def host() -> Any:
    """Return Resolve: a global of menu scripts."""
    found = globals().get("resolve")
    if found is None and "bmd" in globals():
        found = globals()["bmd"].scriptapp("Resolve")
    return found


def outside() -> int:
    """Run the command line in a process of its own; show what it says in Resolve's console."""
    process = subprocess.Popen(
        [PYTHON, "-m", "safelight.host_adapters.cli.main"] + json.loads(ARGUMENTS),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        print(line.rstrip())
    return process.wait()


def inside(found: Any) -> int:
    """Talk to Resolve from here: the free edition answers no other process. The engine is still one of its own."""
    import site

    site.addsitedir(SITE)
    os.environ["SAFELIGHT_PYTHON"] = PYTHON
    from safelight.host_adapters.resolve.menu_run import run

    return run(found, json.loads(ARGUMENTS))


def main() -> None:
    """Restore the shot under the playhead, or whatever the arguments say."""
    found = host()
    if found is None:
        print("Safelight: Resolve is not there; start this from its menu Workspace > Scripts")
    elif not os.path.exists(PYTHON):
        print("Safelight: %s is gone; run 'safelight resolve install' again" % PYTHON)
    elif "studio" in str(found.GetProductName()).lower():
        outside()
    elif "%d.%d" % sys.version_info[:2] != VERSION:
        print(
            "Safelight: the free edition runs Python %d.%d and Safelight is installed under %s; "
            "install it under that one and run 'safelight resolve install' again" % (*sys.version_info[:2], VERSION)
        )
    else:
        inside(found)


main()
