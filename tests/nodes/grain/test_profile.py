"""Grain profiles: what is saved is read back, and broken files say what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safelight.graph.errors import GraphError
from safelight.nodes.grain.profile import BINS, LAGS, Channel, PlateFacts, Point, Profile, load_profile, save_profile


def profile() -> Profile:
    """A profile of one channel with two points."""
    curve = [
        Point(level=-0.001, stops=None, sigma=0.4, sigma_linear=0.01, uncertainty=0.02, samples=256, method="spatial"),
        Point(level=0.36, stops=1.0, sigma=0.2, sigma_linear=0.05, uncertainty=0.01, samples=512, method="temporal"),
    ]
    rho = [[0.5 ** (i + j) for i in range(LAGS)] for j in range(LAGS)]
    channel = Channel(
        curve=curve,
        spectrum=[2 - 0.2 * n for n in range(BINS)],
        autocorrelation=rho,
        film_share=0.75,
        film_share_range=(0.6, 0.9),
    )
    return Profile(
        note="grain: Ärger",
        domain="log",
        stock="",
        plate=PlateFacts(source="Plate", width=64, height=32, frames=[1, 2], patch=(0, 0, 32, 32), pitch_um=6.0),
        channels={"Y": channel},
        frequencies=[0.025 + 0.05 * n for n in range(BINS)],
        frequencies_per_mm=[(0.025 + 0.05 * n) / 0.006 for n in range(BINS)],
        correlation=[[1.0]],
        told_apart="by the spectrum",
    )


def test_a_saved_profile_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "plate.json"
    save_profile(profile(), path)
    assert load_profile(path) == profile()
    assert load_profile(path).grain
    assert [found.name for found in tmp_path.iterdir()] == ["plate.json"]
    text = path.read_text(encoding="utf-8")
    assert '"safelight_grain": 1' in text and "Ärger" in text


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no" / "plate.json"
    with pytest.raises(GraphError, match=r"cannot be written: No such file.*folder that exists"):
        save_profile(profile(), path)
    with pytest.raises(GraphError) as caught:
        load_profile(path)
    assert str(path) in str(caught.value) and "safelight analyse" in caught.value.remedy


def broken(change: Callable[[dict[str, Any]], Any]) -> str:
    """Return a profile's text after a change."""
    data = profile().as_data()
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ('{"safelight_grain": 1', "no JSON"),
        ("[1, 2]", "no grain profile"),
        ('{"safelight": 1}', "no grain profile"),
        (broken(lambda d: d.update(safelight_grain=2)), "format 2"),
        (broken(lambda d: d.update(safelight_grain="one")), "broken at safelight_grain"),
        (broken(lambda d: d.pop("plate")), "broken at plate"),
        (broken(lambda d: d.update(more=1)), "broken at more"),
        (broken(lambda d: d.update(channels={})), "no channel"),
        (broken(lambda d: d["channels"]["Y"]["curve"].reverse()), "do not rise"),
        (broken(lambda d: d["channels"]["Y"]["curve"][0].update(sigma=-1)), r"channels\.Y\.curve\.0\.sigma"),
        (broken(lambda d: d["channels"]["Y"]["curve"][0].update(sigma=float("nan"))), "finite"),
        (broken(lambda d: d["channels"]["Y"]["spectrum"].pop()), "9 bins instead of 10"),
        (broken(lambda d: d["channels"]["Y"]["autocorrelation"].pop()), "autocorrelation is not 4 x 4"),
        (broken(lambda d: d["channels"]["Y"].update(film_share=1.5)), "film_share"),
        (broken(lambda d: d["correlation"][0].append(0)), "not 1 x 1"),
        (broken(lambda d: d["frequencies"].pop()), "not 10 frequencies"),
    ],
)
def test_a_broken_profile_gives_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(GraphError, match=says) as caught:
        load_profile(path)
    message = str(caught.value)
    assert str(path) in message and caught.value.remedy and "\n" not in message


def test_a_profile_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.json"
    path.write_bytes(b"\xff\xd8\xff\xe0\x00")
    with pytest.raises(GraphError, match="no JSON text"):
        load_profile(path)
