"""The edit again, with restored media: cuts, transitions, retimes, markers, metadata and sound as they were."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safelight.graph.errors import GraphError
from safelight.host_adapters.timeline.conform import Conform, Shot
from safelight.host_adapters.timeline.edit import Use, clips
from safelight.host_adapters.timeline.load import otio, timeline_text
from safelight.host_adapters.timeline.shot_documents import Template

SUFFIX = "_restored"
ORIGINAL = "original"
"""Key under which a restored clip keeps the reference to the media it had."""


def restored_timeline(timeline: Any, found: Conform, template: Template, folder: Path) -> Any:
    """Return a copy of the timeline whose clips show the restored media.

    Restored media have the media time of what they were made from, so that no source range changes. Clips that are
    disabled or were left keep their media.
    """
    made = timeline.clone()
    made.name = f"{timeline.name or 'timeline'}{SUFFIX}"
    by_order = {use.order: (shot, use) for shot in found.shots for use in shot.uses}
    for order, clip in enumerate(clips(made)):
        if order in by_order:
            shot, use = by_order[order]
            original = clip.media_reference
            clip.set_media_references(
                {"DEFAULT_MEDIA": _reference(shot, use, template, folder), ORIGINAL: original.clone()}, "DEFAULT_MEDIA"
            )
    return made


def _reference(shot: Shot, use: Use, template: Template, folder: Path) -> Any:
    library = otio()
    time = library.opentime
    path = (folder / template.output(shot.name)).absolute()
    match = shot.matches[shot.uses.index(use)]
    span = time.TimeRange(
        time.RationalTime(shot.start - match.offset, use.rate), time.RationalTime(shot.length, use.rate)
    )
    place = re.search(r"#+", path.name)
    if place is None:
        return library.schema.ExternalReference(path.as_uri(), span, {}, name=path.name)
    made = library.schema.ImageSequenceReference(
        target_url_base=path.parent.as_uri() + "/",
        name_prefix=path.name[: place.start()],
        name_suffix=path.name[place.end() :],
        start_frame=shot.start,
        frame_step=1,
        rate=use.rate,
        frame_zero_padding=len(place.group()),
        available_range=span,
    )
    made.name = path.name
    return made


def timelines_out(timeline: Any, source: Path, fps: float) -> Iterator[tuple[str, str, str]]:
    """Yield (file name, text, remark) of the restored timeline: as OTIO, and in the format it came in, where it can.

    The text is empty and the remark says why where that format cannot hold it.
    """
    yield f"{source.stem}{SUFFIX}.otio", timeline_text(timeline, ".otio", fps), ""
    suffix = source.suffix.casefold()
    name = f"{source.stem}{SUFFIX}{suffix}"
    library = otio()
    warp, freeze = library.schema.LinearTimeWarp, library.schema.FreezeFrame
    effects = [effect for clip in clips(timeline) for effect in clip.effects]
    if suffix == ".edl" and any(isinstance(item, warp) and not isinstance(item, freeze) for item in effects):
        # Its plug-in (1.0.0) divides by the speed where the source's length is the product.
        yield name, "", "the EDL writer miscounts clips with a speed; the OTIO holds them"
    elif suffix in (".edl", ".xml"):
        try:
            plain = _with_plain_references(timeline)
            yield name, edl_text(plain, fps) if suffix == ".edl" else timeline_text(plain, suffix, fps), ""
        except GraphError as error:
            yield name, "", error.what
    elif suffix == ".aaf":
        yield name, "", "AAF is read and not written: the restored timeline is OTIO"


def _with_plain_references(timeline: Any) -> Any:
    """Return a copy that names numbered files as hosts do in EDL and FCP7 XML: `name.[first-last].exr`."""
    library = otio()
    made = timeline.clone()
    for clip in clips(made):
        media = clip.media_reference
        if isinstance(media, library.schema.ImageSequenceReference):
            digits = media.frame_zero_padding
            last = media.start_frame + round(media.available_range.duration.value) - 1
            name = f"{media.name_prefix}[{media.start_frame:0{digits}d}-{last:0{digits}d}]{media.name_suffix}"
            plain = library.schema.ExternalReference(f"{media.target_url_base}{name}", media.available_range, {})
            plain.name = name
            clip.set_media_references({"DEFAULT_MEDIA": plain}, "DEFAULT_MEDIA")
    return made


def edl_text(timeline: Any, fps: float) -> str:
    """Return an EDL whose record times begin where the timeline does."""
    library = otio()
    made = timeline.clone()
    if made.global_start_time is not None:
        for track in made.tracks:
            track.source_range = library.opentime.TimeRange(-made.global_start_time, track.duration())
    return timeline_text(made, ".edl", fps)
