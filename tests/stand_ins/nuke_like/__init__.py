"""A stand-in for Nuke's Python module: strict about names, arguments, threads; its `execute` writes real EXRs."""

from tests.stand_ins.nuke_like.host import NEVER, Host, Hung

__all__ = ["NEVER", "Host", "Hung"]
