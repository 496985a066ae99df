"""A small config on disk, with a table file found by a context variable."""

from __future__ import annotations

from pathlib import Path

from safelight.colour.config import config_for
from safelight.graph.node import Settings

CONFIG = """\
ocio_profile_version: 2.1
environment:
  SHOT: a
search_path: luts/$SHOT
strictparsing: true
roles:
  default: raw
  aces_interchange: aces
  scene_linear: lin
file_rules:
  - !<Rule> {name: Plates, colorspace: graded, pattern: "*plate*", extension: "dpx"}
  - !<Rule> {name: Linear, colorspace: aces, pattern: "*", extension: "exr"}
  - !<Rule> {name: Default, colorspace: default}
displays:
  monitor:
    - !<View> {name: film, colorspace: lin, looks: grade}
    - !<View> {name: plain, colorspace: video}
active_displays: []
active_views: []
inactive_colorspaces: [hidden]
looks:
  - !<Look>
    name: grade
    process_space: lin
    transform: !<FileTransform> {src: grade.spi1d, interpolation: linear}
colorspaces:
  - !<ColorSpace>
    name: aces
    aliases: [ap0]
  - !<ColorSpace>
    name: lin
    aliases: [working, "linear light"]
    to_scene_reference: !<MatrixTransform> {matrix: [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]}
  - !<ColorSpace>
    name: video
    to_scene_reference: !<ExponentTransform> {value: [2, 2, 2, 1], style: mirror}
  - !<ColorSpace>
    name: graded
    to_scene_reference: !<FileTransform> {src: grade.spi1d, interpolation: linear}
  - !<ColorSpace>
    name: hidden
    to_scene_reference: !<MatrixTransform> {matrix: [3, 0, 0, 0, 0, 3, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1]}
  - !<ColorSpace>
    name: lost
    to_scene_reference: !<FileTransform> {src: nowhere.cube}
  - !<ColorSpace>
    name: raw
    isdata: true
"""


def write_table(path: Path, top: float) -> Path:
    """Write a table file that multiplies 0 to 1 by `top`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"Version 1\nFrom 0 1\nLength 2\nComponents 1\n{{\n0\n{top}\n}}\n")
    return path


def write_config(folder: Path, text: str = CONFIG) -> Path:
    """Write the config and its tables: shot `a` doubles, shot `b` trebles."""
    write_table(folder / "luts" / "a" / "grade.spi1d", 2.0)
    write_table(folder / "luts" / "b" / "grade.spi1d", 3.0)
    path = folder / "show.ocio"
    path.write_text(text)
    return path


def tone_mapped_view() -> str:
    """Return the first view of the built-in config's sRGB display: which one it is goes by OpenColorIO's version."""
    config = config_for(Settings(sections={"colour": {"config": "ocio://studio-config-latest"}})).config
    return "sRGB - Display/" + config.getDefaultView("sRGB - Display")
