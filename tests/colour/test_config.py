"""Configs: where they come from, what is refused, what names mean, when things count as changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.colour.config import ColourConfig, config_for, default_space
from safelight.colour.source import STUDIO_CONFIGS
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.node import Settings
from tests.colour.configs import CONFIG, write_config, write_table

CPU = Device("cpu", 2)
HALF = np.full((3, 2, 3), 0.5, np.float32)


def settings(folder: Path = Path(), **colour: Any) -> Settings:
    return Settings(folder, {"colour": colour})


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)
    monkeypatch.delenv("SHOT", raising=False)


def refused(call: Any, *words: str) -> GraphError:
    with pytest.raises(GraphError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and caught.value.remedy
    for word in words:
        assert word in text
    return caught.value


# --- where it comes from -----------------------------------------------------------------------------------------


def test_nobody_names_one() -> None:
    config = config_for(Settings())
    assert config.name.removeprefix("ocio://") in STUDIO_CONFIGS
    assert config.working == "ACEScg" and config.builtin and not config.warnings
    assert config_for(Settings()) is config


def test_document_before_environment_before_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = write_config(tmp_path / "ours"), write_config(tmp_path / "theirs")
    monkeypatch.setenv("OCIO", str(theirs))
    assert config_for(Settings()).name == str(theirs)
    assert config_for(settings(tmp_path, config="ours/show.ocio")).name == str(ours)
    monkeypatch.setenv("OCIO", "ocio://default")
    assert "aces" in config_for(Settings()).name


def test_builtin_by_name() -> None:
    config = config_for(settings(config="ocio://studio-config-latest"))
    assert config.name != "ocio://studio-config-latest" and config.builtin
    refused(lambda: config_for(settings(config="ocio://studio-config-lastest")), "studio-config-latest", "[colour]")


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    error = refused(lambda: config_for(settings(tmp_path, config="shwo.ocio")), "no such", "'show.ocio'")
    assert error.file == path.with_name("shwo.ocio")
    refused(lambda: config_for(settings(tmp_path, config="luts")), "folder")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (CONFIG.replace("roles:", "roles: ["), "cannot be read"),
        ("", "cannot be read"),
        ("\x00\xff", "cannot be read"),
        (CONFIG.replace("scene_linear: lin", "scene_linear: line"), "line"),
        (CONFIG.replace("  scene_linear: lin\n", ""), "scene_linear"),
        (CONFIG.replace("scene_linear: lin", "scene_linear: raw"), "scene_linear"),
        (CONFIG.replace("colorspace: video}", "colorspace: vidoe}"), "vidoe"),
        (CONFIG.replace("ocio_profile_version: 2.1", "ocio_profile_version: 99"), "99"),
    ],
)
def test_broken_configs(tmp_path: Path, text: str, word: str) -> None:
    path = write_config(tmp_path, text)
    error = refused(lambda: config_for(settings(tmp_path, config="show.ocio")), word)
    assert error.file == path


def test_the_error_is_all_that_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = CONFIG.replace("version: 2.1", "version: 2.3").replace("  scene_linear: lin\n", "")
    write_config(tmp_path, text)
    refused(lambda: config_for(settings(tmp_path, config="show.ocio")), "scene_linear")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("colour", "word"),
    [
        ({"confg": "x"}, "'config'"),
        ({"config": 3}, "config"),
        ({"context": "SHOT"}, "table"),
        ({"context": {"SHOT": 1.5}}, "SHOT"),
        ({"cineon": {"blak": 95}}, "'black'"),
        ({"cineon": {"black": "95"}}, "black"),
        ({"cineon": {"black": 700}}, "black"),
        ({"cineon": {"gamma": 0}}, "gamma"),
    ],
)
def test_wrong_settings(colour: dict[str, Any], word: str) -> None:
    with pytest.raises(GraphError, match=r"^\[colour\]") as caught:
        config_for(settings(**colour))
    assert word in str(caught.value)


# --- context and files -------------------------------------------------------------------------------------------


def test_context_finds_other_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(tmp_path)
    a = config_for(settings(tmp_path, config="show.ocio"))
    b = config_for(settings(tmp_path, config="show.ocio", context={"SHOT": "b"}))
    assert a.convert(HALF, "graded", "aces", CPU).max() == np.float32(1.0)
    assert b.convert(HALF, "graded", "aces", CPU).max() == np.float32(1.5)
    assert a.hash != b.hash and a.fingerprint("graded", "aces") != b.fingerprint("graded", "aces")
    assert a.fingerprint("video", "aces") == b.fingerprint("video", "aces")
    monkeypatch.setenv("SHOT", "b")
    again = config_for(settings(tmp_path, config="show.ocio"))
    assert again is not a and again.hash == b.hash


def test_unknown_context_variable(tmp_path: Path) -> None:
    write_config(tmp_path)
    refused(lambda: config_for(settings(tmp_path, config="show.ocio", context={"SHOTT": "b"})), "SHOTT", "'SHOT'")
    refused(lambda: config_for(settings(context={"SHOT": "b"})), "uses no context variable 'SHOT'")


def test_missing_table_refused_only_where_used(tmp_path: Path) -> None:
    write_config(tmp_path)
    config = config_for(settings(tmp_path, config="show.ocio"))
    assert config.warnings == ("colour space 'lost' needs the file 'nowhere.cube', which is not in the search path",)
    config.processor("lin", "video")
    refused(lambda: config.processor("lin", "lost"), "nowhere.cube", "'lost'")
    other = config_for(settings(tmp_path, config="show.ocio", context={"SHOT": "c"}))
    refused(lambda: other.processor("lin", "graded"), "grade.spi1d")


def test_a_broken_table_is_named(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "luts/a/grade.spi1d").write_text("Version 1\nnonsense\n")
    config = config_for(settings(tmp_path, config="show.ocio"))
    refused(lambda: config.processor("lin", "graded"), "grade.spi1d")


def test_a_changed_table_changes_hash_and_pixels(tmp_path: Path) -> None:
    write_config(tmp_path)
    where = settings(tmp_path, config="show.ocio")
    before = config_for(where)
    hashes = before.hash, before.fingerprint("graded", "aces"), before.fingerprint("video", "aces")
    view = before.fingerprint("lin", "monitor/film")
    assert before.convert(HALF, "graded", "aces", CPU).max() == 1.0
    table = write_table(tmp_path / "luts/a/grade.spi1d", 4.0)
    os.utime(table, ns=(1, 1))
    assert config_for(where, fresh=False) is before
    after = config_for(where)
    assert after.hash != hashes[0] and after.fingerprint("graded", "aces") != hashes[1]
    assert after.fingerprint("lin", "monitor/film") != view
    assert after.fingerprint("video", "aces") == hashes[2]
    assert after.convert(HALF, "graded", "aces", CPU).max() == 2.0
    assert config_for(where) is after


def test_a_changed_config_is_read_again(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    where = settings(tmp_path, config="show.ocio")
    before = config_for(where)
    path.write_text(CONFIG.replace("[2, 2, 2, 1]", "[3, 3, 3, 1]"))
    os.utime(path, ns=(1, 1))
    after = config_for(where)
    assert after.hash != before.hash
    assert after.convert(HALF, "video", "aces", CPU).max() == pytest.approx(0.125, rel=1e-6)


def test_same_contents_elsewhere_have_one_hash(tmp_path: Path) -> None:
    write_config(tmp_path / "one")
    write_config(tmp_path / "two")
    one, two = (config_for(settings(tmp_path / name, config="show.ocio")) for name in ("one", "two"))
    assert one.fingerprint("graded", "aces") == two.fingerprint("graded", "aces")
    assert one.hash == two.hash


def test_an_archive_works(tmp_path: Path) -> None:
    write_config(tmp_path, CONFIG.replace("luts/$SHOT", "luts/a").replace("nowhere.cube", "grade.spi1d"))
    plain = config_for(settings(tmp_path, config="show.ocio"))
    plain.config.archive(str(tmp_path / "show.ocioz"))
    packed = config_for(settings(tmp_path, config="show.ocioz"))
    assert not packed.warnings
    assert packed.fingerprint("graded", "aces") == plain.fingerprint("graded", "aces")


# --- names -------------------------------------------------------------------------------------------------------


@pytest.fixture
def show(tmp_path: Path) -> ColourConfig:
    write_config(tmp_path)
    return config_for(settings(tmp_path, config="show.ocio"))


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("lin", "lin"),
        ("LIN", "lin"),
        ("Linear Light", "lin"),
        ("scene_linear", "lin"),
        ("hidden", "hidden"),
        ("monitor/film", "monitor/film"),
        ("Monitor/Plain", "monitor/plain"),
        ("cineon", "Cineon"),
        ("ADX10", "ADX10"),
    ],
)
def test_resolve(show: ColourConfig, name: str, canonical: str) -> None:
    assert show.resolve(name) == canonical


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("lni", "'lin'"),
        ("scene_liner", "'scene_linear'"),
        ("monitor/flim", "'monitor/film'"),
        ("Cinoen", "'Cineon'"),
        ("", ""),
        ("zzzzzzzz", "alias or role"),
    ],
)
def test_unknown_names(show: ColourConfig, name: str, near: str) -> None:
    refused(lambda: show.resolve(name), near, f"'{name}'")


def test_every_name_offered_resolves(show: ColourConfig) -> None:
    for config in (show, config_for(Settings())):
        names = config.names()
        assert len(set(names)) == len(names) > 10
        assert all(config.resolve(name) for name in names)


def test_adx_needs_the_interchange_role(tmp_path: Path) -> None:
    write_config(tmp_path, CONFIG.replace("  aces_interchange: aces\n", ""))
    config = config_for(settings(tmp_path, config="show.ocio"))
    refused(lambda: config.resolve("ADX10"), "aces_interchange")
    assert config.resolve("Cineon") == "Cineon"
    refused(lambda: default_space(config, Path("x.png"), floating=False, log=False), "sRGB", "x.png")
    refused(lambda: config.to_xyz(HALF, "lin", CPU), "aces_interchange")


def test_the_configs_own_cineon_comes_first(tmp_path: Path) -> None:
    own = CONFIG.replace("    name: video\n", "    name: Cineon\n").replace("colorspace: video", "colorspace: Cineon")
    write_config(tmp_path, own)
    config = config_for(settings(tmp_path, config="show.ocio"))
    assert config.convert(HALF, "Cineon", "aces", CPU).max() == 0.25


# --- transforms --------------------------------------------------------------------------------------------------


def test_spaces_and_views(show: ColourConfig) -> None:
    def one(source: str, target: str, value: float = 0.5) -> float:
        return float(show.convert(np.full((3, 1, 1), value, np.float32), source, target, CPU)[0, 0, 0])

    assert one("lin", "aces") == 1.0
    assert one("scene_linear", "hidden") == pytest.approx(1 / 3, rel=1e-6)
    assert one("aces", "video", -4.0) == -2.0
    assert one("lin", "monitor/plain", 2.0) == 2.0
    assert one("lin", "monitor/film", 0.25) == 0.5
    assert one("monitor/film", "lin") == 0.25
    assert one("monitor/film", "monitor/plain", 1.0) == pytest.approx(1.0)


def test_no_op_returns_the_same_object(show: ColourConfig) -> None:
    for source, target in [("lin", "lin"), ("working", "scene_linear"), ("raw", "lin"), ("monitor/film",) * 2]:
        assert show.is_noop(source, target)
        assert show.convert(HALF, source, target, CPU) is HALF
    assert not show.is_noop("lin", "aces")


def test_nothing_is_clamped(show: ColourConfig) -> None:
    values = np.float32([-1e5, -0.5, 1e5]).reshape(3, 1, 1)
    np.testing.assert_array_equal(show.convert(values, "lin", "aces", CPU), values * 2)


def test_a_view_that_cannot_be_undone(tmp_path: Path) -> None:
    write_config(tmp_path)
    flat = "LUT_3D_SIZE 2\n" + "0.5 0.5 0.5\n" * 8
    (tmp_path / "luts/a/flat.cube").write_text(flat)
    text = CONFIG.replace("{src: grade.spi1d, interpolation: linear}\ncolorspaces", "{src: flat.spi3d}\ncolorspaces")
    (tmp_path / "show.ocio").write_text(text)
    (tmp_path / "luts/a/flat.spi3d").write_text("SPILUT 1.0\n3 3\n2 2 2\n0 0 0 oops\n")
    config = config_for(settings(tmp_path, config="show.ocio"))
    refused(lambda: config.processor("monitor/film", "lin"), "monitor/film", "flat.spi3d")


# --- spaces of files ---------------------------------------------------------------------------------------------


def test_rules_of_a_chosen_config(show: ColourConfig) -> None:
    assert show.file_space(Path("/x/plate.0001.dpx")) == "graded"
    assert show.file_space(Path("/x/a.tif")) is None
    assert default_space(show, Path("plate.dpx"), floating=False, log=True) == "graded"
    assert default_space(show, Path("scan.dpx"), floating=False, log=True) == "Cineon"
    assert default_space(show, Path("a.exr"), floating=True, log=False) == "aces"
    assert default_space(show, Path("a.tif"), floating=True, log=False) == "lin"
    assert default_space(show, Path("a.png"), floating=False, log=False) == "sRGB - Texture"


def test_defaults_of_the_builtin_config() -> None:
    config = config_for(Settings())
    assert default_space(config, Path("a.exr"), floating=True, log=False) == "ACEScg"
    assert default_space(config, Path("a.dpx"), floating=False, log=True) == "Cineon"
    srgb = default_space(config, Path("a.png"), floating=False, log=False)
    assert srgb == config.resolve("srgb_tx")
    rules = config.config.getFileRules()
    if "EXR" in [rules.getName(index) for index in range(rules.getNumEntries())]:
        assert config.file_space(Path("a.exr")) == "ACES2065-1"
