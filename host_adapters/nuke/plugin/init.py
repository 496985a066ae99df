"""Loaded by Nuke at every start, also on farm machines: whatever goes wrong here, Nuke and its render go on."""

try:
    import safelight_start

    safelight_start.everywhere()
except Exception as error:
    import sys

    sys.stderr.write(f"Safelight was not loaded ({type(error).__name__}: {error}); Nuke goes on without it.\n")
