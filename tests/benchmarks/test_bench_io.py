"""`bench io` runs, and its figures can be."""

from safelight.host_adapters.cli.bench.io import COMPRESSIONS, run


def test_quick_run():
    rows = {row.name: row for row in run(quick=True)}
    for compression in COMPRESSIONS:
        ours, theirs, ratio = (rows[f"{compression}: {what}"].value for what in ("Read -> Write", "oiiotool", "ratio"))
        assert 0 < ours < 60_000 and 0 < theirs < 60_000 and abs(ratio - ours / theirs) < 1e-6 * ratio
        assert rows[f"{compression}: ratio"].target == "≤ 1.2"
