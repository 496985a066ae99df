"""Loaded by Nuke where there is a GUI."""

try:
    import safelight_start

    safelight_start.with_gui()
except Exception as error:
    import sys

    sys.stderr.write(f"Safelight has no menu ({type(error).__name__}: {error}); Nuke goes on without it.\n")
