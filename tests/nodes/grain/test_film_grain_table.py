"""The text of film-grain tables: written as libaom does, read back whole, refused by the line when broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from safelight.graph.errors import GraphError
from safelight.nodes.grain.film_grain_table import FOREVER, FilmGrain, Segment, parse_table, save_table, table_text


def some(rng: np.random.Generator, lag: int, **other: Any) -> FilmGrain:
    """Any parameters the standard allows."""
    count = 2 * lag * (lag + 1)

    def points(most: int) -> tuple[tuple[int, int], ...]:
        levels = np.sort(rng.choice(256, rng.integers(1, most + 1), replace=False))
        return tuple((int(level), int(rng.integers(256))) for level in levels)

    def coefficients(size: int) -> tuple[int, ...]:
        return tuple(int(v) for v in rng.integers(-128, 128, size))

    fields: dict[str, Any] = {
        "ar_coeff_lag": lag,
        "ar_coeff_shift": int(rng.integers(6, 10)),
        "grain_scale_shift": int(rng.integers(4)),
        "scaling_shift": int(rng.integers(8, 12)),
        "chroma_scaling_from_luma": bool(rng.integers(2)),
        "overlap": bool(rng.integers(2)),
        **{f"{c}_{name}": int(rng.integers(256)) for c in ("cb", "cr") for name in ("mult", "luma_mult")},
        "cb_offset": int(rng.integers(512)),
        "cr_offset": int(rng.integers(512)),
        "scaling_y": points(14),
        "scaling_cb": points(10),
        "scaling_cr": points(10),
        "ar_y": coefficients(count),
        "ar_cb": coefficients(count + 1),
        "ar_cr": coefficients(count + 1),
    }
    return FilmGrain(**(fields | other))


@pytest.fixture
def table() -> str:
    """Two segments, the second as the first."""
    first = Segment(start=0, end=500, apply=True, seed=7391, grain=some(np.random.default_rng(3), 1))
    return table_text([first, Segment(start=500, end=FOREVER, apply=False, seed=1, grain=None)])


@pytest.mark.parametrize("lag", [0, 1, 2, 3])
def test_what_is_written_is_read(lag: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(lag)
    segments = tuple(
        Segment(start=100 * i, end=100 * i + 90, apply=bool(i % 2), seed=int(rng.integers(65536)), grain=some(rng, lag))
        for i in range(5)
    )
    save_table(segments, tmp_path / "g.tbl")
    assert parse_table((tmp_path / "g.tbl").read_text()) == segments
    assert [path.name for path in tmp_path.iterdir()] == ["g.tbl"]


def test_it_looks_as_libaom_writes_it() -> None:
    grain = some(
        np.random.default_rng(1), 1, scaling_y=((0, 20), (255, 30)), scaling_cb=(), scaling_cr=(), ar_y=(1, -2, 3, 4),
        ar_cb=(0, 0, 0, 0, 5), ar_cr=(0, 0, 0, 0, -6), ar_coeff_shift=7, grain_scale_shift=0, scaling_shift=11,
        chroma_scaling_from_luma=False, overlap=True, cb_mult=128, cb_luma_mult=192, cb_offset=256, cr_mult=128,
        cr_luma_mult=192, cr_offset=256,
    )  # fmt: skip
    assert table_text([Segment(start=0, end=FOREVER, apply=True, seed=7391, grain=grain)]) == (
        "filmgrn1\nE 0 9223372036854775807 1 7391 1\n\tp 1 7 0 11 0 1 128 192 256 128 192 256\n"
        "\tsY 2  0 20 255 30\n\tsCb 0\n\tsCr 0\n\tcY 1 -2 3 4\n\tcCb 0 0 0 0 5\n\tcCr 0 0 0 0 -6\n"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ar_coeff_shift": 5}, "ar_coeff_shift"),
        ({"ar_coeff_lag": 2}, "cY holds 4 coefficients instead of 12"),
        ({"scaling_shift": 12}, "scaling_shift"),
        ({"grain_scale_shift": 4}, "grain_scale_shift"),
        ({"ar_y": (0, 0, 0, 128)}, "ar_y"),
        ({"scaling_y": tuple((i, 1) for i in range(15))}, "scaling_y"),
        ({"scaling_cb": tuple((i, 1) for i in range(11))}, "scaling_cb"),
        ({"scaling_y": ((9, 1), (9, 2))}, "the levels of sY do not rise"),
        ({"scaling_y": ((256, 1),)}, "scaling_y"),
        ({"scaling_cb": ()}, "or neither"),
        ({"scaling_y": ()}, "and sY none"),
        ({"cb_offset": 512}, "cb_offset"),
    ],
)
def test_what_the_standard_does_not_allow_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        some(np.random.default_rng(2), 1, **change)


def test_segments_last_and_follow_each_other() -> None:
    with pytest.raises(ValidationError, match="ends at 5"):
        Segment(start=5, end=5, apply=True, seed=1, grain=None)
    one, two = (Segment(start=s, end=s + 9, apply=True, seed=1, grain=None) for s in (0, 5))
    with pytest.raises(ValueError, match="starts before"):
        table_text([one, two])
    with pytest.raises(ValueError, match="no segment"):
        table_text([])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("filmgrn1", "filmgrn2", "line 1: the film-grain table is broken: the table does not begin with filmgrn1"),
        ("\tcCr", "\tcCx", "line 9.*'cCx' stands where a row 'cCr' belongs"),
        ("E 500", "E 400", "line 10.*starts before"),
        ("\tp 1", "\tp 2", "line 2.*cY holds 4 coefficients instead of 12"),
        ("E 0 500 1 7391 1", "E 0 500 1 7391", "line 2.*holds 4 numbers instead of 5"),
        ("E 0 500 1 7391 1", "E 0 500 3 7391 1", "a flag is 3"),
        ("E 0 500 1 7391 1", "E 0 500 1 65536 1", "line 2.*seed"),
        ("E 0 500 1 7391 1", "E 0 500 1 7.1 1", "something else than whole numbers"),
        ("\tsCb", "\tsCb 1", "points are announced"),
    ],
)
def test_a_broken_table_is_refused_by_its_line(table: str, old: str, new: str, says: str) -> None:
    assert len(parse_table(table)) == 2
    with pytest.raises(GraphError, match=says):
        parse_table(table.replace(old, new, 1))


def test_a_table_that_ends_early_is_refused(table: str) -> None:
    for size in range(1, len(table.splitlines()) - 1):
        with pytest.raises(GraphError, match=r"no segment|ends where a row"):
            parse_table("\n".join(table.splitlines()[:size]))
    for text in ("", "\n\n", "{}"):
        with pytest.raises(GraphError, match=r"line 1: .* does not begin"):
            parse_table(text)


def test_a_folder_that_is_not_there(tmp_path: Path, table: str) -> None:
    with pytest.raises(GraphError, match=r"cannot be written.*no/g\.tbl|no/g\.tbl.*cannot be written"):
        save_table(parse_table(table), tmp_path / "no" / "g.tbl")
