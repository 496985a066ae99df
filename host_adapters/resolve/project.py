"""What a project says of colour and HDR, in Resolve's words and in those of a graph document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from safelight.graph.document import Document
from safelight.graph.params import extra
from safelight.graph.registry import Registry, default_registry
from safelight.host_adapters.resolve.connect import Session
from safelight.host_adapters.resolve.remote import Remote

PLURAL_SINCE = (21, 1)
"""From this release on settings are asked for all at once; the single question is deprecated."""
SETTINGS = (
    "colorScienceMode",
    "rcmPresetMode",
    "separateColorSpaceAndGamma",
    "colorSpaceInput",
    "colorSpaceInputGamma",
    "colorSpaceTimeline",
    "colorSpaceTimelineGamma",
    "colorSpaceOutput",
    "colorSpaceOutputGamma",
    "timelineWorkingLuminance",
    "timelineWorkingLuminanceMode",
    "colorAcesIDT",
    "colorAcesODT",
    "hdrMasteringOn",
    "hdrMasteringLuminanceMax",
    "hdr10PlusControlsOn",
    "hdrDolbyControlsOn",
    "timelineFrameRate",
    "timelineResolutionWidth",
    "timelineResolutionHeight",
    "useCustomSettings",
)
SPACES = {
    "ACES": "ACES2065-1",
    "ACEScc": "ACEScc",
    "ACEScct": "ACEScct",
    "ACEScg": "ACEScg",
    "ARRI LogC3": "ARRI LogC3 (EI800)",
    "ARRI LogC": "ARRI LogC3 (EI800)",
    "ARRI Alexa": "ARRI LogC3 (EI800)",
    "ARRI LogC4": "ARRI LogC4",
    "Blackmagic Design Film Wide Gamut Gen 5": "BMDFilm WideGamut Gen5",
    "Canon Cinema Gamut/Canon Log 2": "CanonLog2 CinemaGamut D55",
    "Canon Cinema Gamut/Canon Log 3": "CanonLog3 CinemaGamut D55",
    "Cineon Film Log": "Cineon",
    "DaVinci WG/Intermediate": "DaVinci Intermediate WideGamut",
    "P3-D65 ST2084": "ST2084-P3-D65 - Display",
    "Panasonic V-Gamut/V-Log": "V-Log V-Gamut",
    "RED WideGamutRGB/Log3G10": "Log3G10 REDWideGamutRGB",
    "Rec.2020 HLG": "Rec.2100-HLG - Display",
    "Rec.2100 HLG": "Rec.2100-HLG - Display",
    "Rec.2020 ST2084": "Rec.2100-PQ - Display",
    "Rec.2100 ST2084": "Rec.2100-PQ - Display",
    "Rec.709 (Scene)": "Camera Rec.709",
    "Rec.709 Gamma 2.4": "Rec.1886 Rec.709 - Display",
    "Rec.709 2.4": "Rec.1886 Rec.709 - Display",
    "Rec.709 Linear": "Linear Rec.709 (sRGB)",
    "S-Gamut3.Cine/S-Log3": "S-Log3 S-Gamut3.Cine",
    "S-Gamut3/S-Log3": "S-Log3 S-Gamut3",
    "sRGB": "sRGB - Display",
    "sRGB (Linear)": "Linear Rec.709 (sRGB)",
}
"""Resolve's names of colour spaces, as names of the ACES studio configs; others are said and left to the person."""


@dataclass(frozen=True)
class Colour:
    """Colour management and HDR of a project's timeline."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """Every setting that answered, by Resolve's name."""

    @property
    def managed(self) -> bool:
        """Whether Resolve converts clips by what it knows of their colour."""
        return self.settings.get("colorScienceMode", "davinciYRGB") != "davinciYRGB"

    @property
    def output(self) -> str:
        """Resolve's name of what Deliver writes; empty where the project does not say."""
        mode = self.settings.get("colorScienceMode", "")
        if mode.startswith("aces"):
            return self.settings.get("colorAcesODT", "")
        space, gamma = self.settings.get("colorSpaceOutput", ""), self.settings.get("colorSpaceOutputGamma", "")
        separate = self.settings.get("separateColorSpaceAndGamma") == "1"
        return f"{space} {gamma}".strip() if separate else space

    @property
    def peak(self) -> float | None:
        """Brightest light of the mastering display, cd/m²; None where HDR mastering is off."""
        if self.settings.get("hdrMasteringOn", "0") not in ("1", "True", "true"):
            return None
        try:
            return float(self.settings["hdrMasteringLuminanceMax"])
        except (KeyError, ValueError):
            return None


def read_colour(session: Session, project: Remote, timeline: Remote) -> Colour:
    """Read the settings of a timeline: its own where it has some, else the project's."""
    settings = _settings(session, project)
    own = _settings(session, timeline)
    if own.get("useCustomSettings") == "1":
        settings |= own
    return Colour(settings)


def _settings(session: Session, remote: Remote) -> dict[str, str]:
    if session.version[:2] >= PLURAL_SINCE:
        answer = remote.table("GetSettings")
        return {name: str(answer[name]) for name in SETTINGS if answer.get(name) not in (None, "")}
    found = {}
    for name in SETTINGS:
        answer = remote.call("GetSetting", name)
        if isinstance(answer, str) and answer:
            found[name] = answer
        elif answer is not None and not isinstance(answer, str):
            raise remote.refused("GetSetting", answer)
    return found


def space_of(name: str) -> str:
    """Return a graph document's name of one of Resolve's colour spaces; empty for one not known."""
    folded = {known.casefold(): space for known, space in SPACES.items()}
    return folded.get(name.strip().casefold(), "")


def hdr_parameters(document: Document, colour: Colour, registry: Registry | None = None) -> dict[str, dict[str, Any]]:
    """Return what the project's HDR settings say of a document's nodes, by node and parameter.

    A node with a parameter `peak` in cd/m² (a lift, an HDR signal) takes the mastering display's light;
    so does a Write that knows `mastering_max` and `hdr10plus`, where the document encodes PQ: other signals have no
    mastering display. What the document sets itself stands.
    """
    registry = registry if registry is not None else default_registry()
    peak = colour.peak
    found: dict[str, dict[str, Any]] = {}
    if peak is None:
        return found
    said: dict[str, Any] = {"peak": peak, "mastering_max": peak}
    if colour.settings.get("hdr10PlusControlsOn") == "1":
        said["hdr10plus"] = True
    entries = {name: entry for name, entry in document.entries.items() if entry.type in registry}
    knows = {name: type(registry[entry.type]).Params.model_fields for name, entry in entries.items()}
    encodings = {
        name: entry.params.get("encoding", knows[name]["encoding"].default)
        for name, entry in entries.items()
        if "encoding" in knows[name]
    }
    for name, entry in entries.items():
        if encodings.get(name, "pq") not in ("pq", "hlg"):
            continue
        for parameter, value in said.items():
            if parameter != "peak" and "pq" not in encodings.values():
                continue
            known = knows[name].get(parameter)
            light = known is not None and (extra(known).get("unit") == "cd/m²" or parameter == "hdr10plus")
            if light and parameter not in entry.params:
                found.setdefault(name, {})[parameter] = value
    return found
