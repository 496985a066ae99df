"""What DaVinci Resolve's published scripting interface offers, written down by hand: the calls the adapter may make.

For each class and method: least and most arguments, what may come back, the release it is there since (0.0: in 18.5,
the oldest that the adapter supports), the edition, and the pages it works on (none named: all). The adapter has no part
in this list: a call that is not in it fails the test that made it, and tests marked `host` hold it against a live
Resolve's `dir()`.
"""

from __future__ import annotations

from dataclasses import dataclass

BASE = (0, 0)
PLAYHEAD = ("cut", "edit", "color", "fairlight", "deliver")


@dataclass(frozen=True)
class Call:
    """One method."""

    least: int
    most: int
    kinds: tuple[str, ...]
    """What may come back: bool, int, float, str, dict, list, none, a class's name, or `[class]`."""
    since: tuple[int, int] = BASE
    edition: str = "free"
    pages: tuple[str, ...] = ()


def _(least: int, most: int, *kinds: str, since: tuple[int, int] = BASE, edition: str = "free",
      pages: tuple[str, ...] = ()) -> Call:  # fmt: skip
    return Call(least, most, kinds, since, edition, pages)


_MARKERS = {
    "AddMarker": _(5, 6, "bool"),
    "GetMarkers": _(0, 0, "dict"),
    "GetMarkerByCustomData": _(1, 1, "dict"),
    "DeleteMarkerByCustomData": _(1, 1, "bool"),
}
MANIFEST: dict[str, dict[str, Call]] = {
    "Resolve": {
        "GetProjectManager": _(0, 0, "ProjectManager"),
        "GetMediaStorage": _(0, 0, "MediaStorage"),
        "OpenPage": _(1, 1, "bool"),
        "GetCurrentPage": _(0, 0, "str", "none"),
        "GetVersion": _(0, 0, "list"),
        "GetProductName": _(0, 0, "str"),
        "IsStudio": _(0, 0, "bool", since=(21, 1)),
    },
    "ProjectManager": {
        "GetCurrentProject": _(0, 0, "Project", "none"),
        "LoadProject": _(1, 1, "Project", "none"),
        "CreateProject": _(1, 2, "Project", "none"),
        "SaveProject": _(0, 0, "bool"),
    },
    "Project": {
        "GetName": _(0, 0, "str"),
        "GetUniqueId": _(0, 0, "str"),
        "GetMediaPool": _(0, 0, "MediaPool"),
        "GetGallery": _(0, 0, "Gallery"),
        "GetCurrentTimeline": _(0, 0, "Timeline", "none"),
        "SetCurrentTimeline": _(1, 1, "bool"),
        "GetTimelineCount": _(0, 0, "int"),
        "GetTimelineByIndex": _(1, 1, "Timeline", "none"),
        "GetSettings": _(0, 0, "dict", since=(21, 1)),
        "SetSettings": _(1, 1, "bool", since=(21, 1)),
        "GetSetting": _(1, 1, "str", "none"),
        "SetSetting": _(2, 2, "bool"),
        "GetRenderPresetList": _(0, 0, "list"),
        "LoadRenderPreset": _(1, 1, "bool"),
        "SaveAsNewRenderPreset": _(1, 1, "bool"),
        "DeleteRenderPreset": _(1, 1, "bool"),
        "GetRenderFormats": _(0, 0, "dict"),
        "GetRenderCodecs": _(1, 1, "dict"),
        "SetCurrentRenderFormatAndCodec": _(2, 2, "bool"),
        "SetCurrentRenderMode": _(1, 1, "bool"),
        "SetRenderSettings": _(1, 1, "bool"),
        "AddRenderJob": _(0, 0, "str"),
        "GetRenderJobList": _(0, 0, "list"),
        "StartRendering": _(0, 2, "bool"),
        "IsRenderingInProgress": _(0, 0, "bool"),
        "StopRendering": _(0, 0, "none"),
        "GetRenderJobStatus": _(1, 1, "dict"),
        "DeleteRenderJob": _(1, 1, "bool"),
        "RefreshLUTList": _(0, 0, "bool"),
        "ExportCurrentFrameAsStill": _(1, 1, "bool", pages=("color",)),
    },
    "MediaPool": {
        "GetRootFolder": _(0, 0, "Folder"),
        "AddSubFolder": _(2, 2, "Folder", "none"),
        "GetCurrentFolder": _(0, 0, "Folder"),
        "SetCurrentFolder": _(1, 1, "bool"),
        "ImportMedia": _(1, 1, "[MediaPoolItem]"),
        "DeleteClips": _(1, 1, "bool"),
        "DeleteFolders": _(1, 1, "bool"),
        "CreateEmptyTimeline": _(1, 1, "Timeline", "none"),
        "DeleteTimelines": _(1, 1, "bool"),
        "ImportTimelineFromFile": _(1, 2, "Timeline", "none"),
        "AppendToTimeline": _(1, 1, "[TimelineItem]"),
    },
    "Folder": {
        "GetName": _(0, 0, "str"),
        "GetUniqueId": _(0, 0, "str"),
        "GetClipList": _(0, 0, "[MediaPoolItem]"),
        "GetSubFolderList": _(0, 0, "[Folder]"),
    },
    "MediaPoolItem": {
        "GetName": _(0, 0, "str"),
        "GetUniqueId": _(0, 0, "str"),
        "GetClipProperty": _(0, 1, "dict", "str"),
        "SetClipProperty": _(2, 2, "bool"),
        "GetMetadata": _(0, 1, "dict", "str"),
        "SetMetadata": _(1, 2, "bool"),
        "ReplaceClip": _(1, 1, "bool"),
        **_MARKERS,
    },
    "Timeline": {
        "GetName": _(0, 0, "str"),
        "GetUniqueId": _(0, 0, "str"),
        "GetStartFrame": _(0, 0, "int"),
        "GetEndFrame": _(0, 0, "int"),
        "SetStartTimecode": _(1, 1, "bool"),
        "GetTrackCount": _(1, 1, "int"),
        "GetTrackName": _(2, 2, "str"),
        "SetTrackName": _(3, 3, "bool"),
        "GetItemListInTrack": _(2, 2, "[TimelineItem]"),
        "GetCurrentVideoItem": _(0, 0, "TimelineItem", "none", pages=PLAYHEAD),
        "AddTrack": _(1, 2, "bool"),
        "DeleteTrack": _(2, 2, "bool"),
        "SetTrackEnable": _(3, 3, "bool"),
        "GetIsTrackEnabled": _(2, 2, "bool"),
        "DeleteClips": _(1, 2, "bool"),
        "Export": _(3, 3, "bool"),
        "GetSettings": _(0, 0, "dict", since=(21, 1)),
        "GetSetting": _(1, 1, "str", "none"),
        **_MARKERS,
    },
    "TimelineItem": {
        "GetName": _(0, 0, "str"),
        "GetUniqueId": _(0, 0, "str"),
        "GetStart": _(0, 1, "int", "float"),
        "GetEnd": _(0, 1, "int", "float"),
        "GetDuration": _(0, 1, "int", "float"),
        "GetLeftOffset": _(0, 1, "int", "float"),
        "GetRightOffset": _(0, 1, "int", "float"),
        "GetSourceStartFrame": _(0, 0, "int"),
        "GetSourceEndFrame": _(0, 0, "int"),
        "GetMediaPoolItem": _(0, 0, "MediaPoolItem", "none"),
        "GetTrackTypeAndIndex": _(0, 0, "list"),
        "GetClipEnabled": _(0, 0, "bool"),
        "AddTake": _(1, 3, "bool"),
        "GetTakesCount": _(0, 0, "int"),
        "GetSelectedTakeIndex": _(0, 0, "int"),
        "GetTakeByIndex": _(1, 1, "dict", "none"),
        "SelectTakeByIndex": _(1, 1, "bool"),
        "DeleteTakeByIndex": _(1, 1, "bool"),
        "FinalizeTake": _(0, 0, "bool"),
        "CopyGrades": _(1, 1, "bool"),
        "AddVersion": _(2, 2, "bool"),
        "LoadVersionByName": _(2, 2, "bool"),
        "GetNodeGraph": _(0, 1, "Graph", "none"),
        **_MARKERS,
    },
    "Graph": {
        "GetNumNodes": _(0, 0, "int"),
        "SetLUT": _(2, 2, "bool", pages=("color",)),
        "GetLUT": _(1, 1, "str"),
        "ApplyGradeFromDRX": _(2, 2, "bool"),
    },
    "MediaStorage": {},
    "Gallery": {},
}
CLIP_PROPERTIES = ("Input Color Space", "Clip Color", "Comments")
"""Properties of a clip that can be set."""
RENDER_KEYS = (
    "SelectAllFrames", "MarkIn", "MarkOut", "TargetDir", "CustomName", "UniqueFilenameStyle", "ExportVideo",
    "ExportAudio", "FormatWidth", "FormatHeight", "FrameRate", "PixelAspectRatio", "VideoQuality", "ColorSpaceTag",
    "GammaTag", "ExportAlpha", "AlphaMode", "ClipStartFrame", "TimelineStartTimecode", "ReplaceExistingFilesInPlace",
)  # fmt: skip
SETTINGS = (
    "colorScienceMode", "rcmPresetMode", "separateColorSpaceAndGamma", "colorSpaceInput", "colorSpaceInputGamma",
    "colorSpaceTimeline", "colorSpaceTimelineGamma", "colorSpaceOutput", "colorSpaceOutputGamma",
    "timelineWorkingLuminance", "timelineWorkingLuminanceMode", "colorAcesIDT", "colorAcesODT", "hdrMasteringOn",
    "hdrMasteringLuminanceMax", "hdr10PlusControlsOn", "hdrDolbyControlsOn", "timelineFrameRate",
    "timelineResolutionWidth", "timelineResolutionHeight", "useCustomSettings",
)  # fmt: skip
