import math

from safelight.host_adapters.cli.bench.regrain import run


def test_figures_are_there_and_sane() -> None:
    rows = {row.name: row for row in run(quick=True)}
    assert all(math.isfinite(row.value) and row.value > 0 for row in rows.values())
    ratio = rows["Regrain over the copy"]
    assert ratio.target
    assert math.isclose(ratio.value, rows["Regrain"].value / rows["plain copy, np.copyto"].value)
    assert rows["Regrain over the memory's limit"].value >= ratio.value * 0.99
    assert rows["bytes moved"].value == 2 * 3 * 512 * 270 * 4 / 1e6
