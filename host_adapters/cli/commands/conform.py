"""`safelight conform`: an edit, its media and a template become one document for each shot and a new edit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safelight.host_adapters.cli.options import Json

if TYPE_CHECKING:
    from safelight.host_adapters.timeline.conform import Conform
    from safelight.host_adapters.timeline.shot_documents import Written


def conform(
    timeline: Annotated[
        Path, typer.Argument(metavar="TIMELINE", help="The edit: .otio, .edl, .xml (FCP 7), .aaf.", show_default=False)
    ],
    template: Annotated[
        Path,
        typer.Argument(metavar="TEMPLATE", help="Graph document whose Read and Write are set.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUTDIR", help="Folder for documents, timeline and pictures.")
    ],
    media: Annotated[
        list[Path] | None,
        typer.Option(
            "--media",
            "-m",
            metavar="DIR",
            help="Folder of media, with all below it; may be repeated. Default: the paths in the timeline.",
        ),
    ] = None,
    handles: Annotated[
        int, typer.Option("--handles", min=0, max=10000, help="Frames before and after, where the media has them.")
    ] = 8,
    repeats: Annotated[
        str,
        typer.Option(
            "--repeats", metavar="once|each", help="Frames that several clips show: restored once, or for each clip."
        ),
    ] = "once",
    fps: Annotated[float, typer.Option("--fps", min=0, max=10000, help="Frames a second of an EDL.")] = 0.0,
    sequence: Annotated[str, typer.Option("--sequence", help="Which sequence, if the file holds several.")] = "",
    read: Annotated[str, typer.Option("--read", metavar="NODE", help="The template's Read, if it has several.")] = "",
    write: Annotated[
        str, typer.Option("--write", metavar="NODE", help="The Write the new edit shows, if there are several.")
    ] = "",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave clips that cannot be conformed as they are, and list them.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite documents that were edited by hand.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Write nothing; show what would be.")] = False,
    as_json: Json = False,
) -> None:
    """Conform an edit to its media: one graph document for each shot, and the edit again with restored pictures.

    Each clip's media is found by its path (name and folders, from the end), else by reel and timecode, else by the
    clip's name. Documents go to OUTDIR, their pictures to OUTDIR/restored, numbered as the media are; the new edit,
    OUTDIR/NAME_restored.otio (and .edl or .xml where it came as one), shows them with every cut, transition, retime,
    marker and sound as it was. Disabled clips are left as they are.

    \b
    Examples
      safelight conform cut7.otio clean.toml --media /scans -o reel1
      safelight conform cut7.edl clean.toml --fps 24 --media /scans -o reel1 --dry-run
      safelight conform cut7.xml clean.toml --media /scans/a --media /scans/b -o reel1 --handles 16
      for d in reel1/*.toml; do safelight render $d --resume; done

    Transitions need frames beyond the cuts: they are rendered, and media that lack them are refused. Freezes and
    constant speeds are kept in the edit, and the frames they show are restored; other retimes, reverse playback and
    nested sequences are refused by name (--keep-going leaves them alone). With --repeats once, clips that share frames
    are one shot. Where media runs on through a cut, as in a finished master, it goes into the document's cut list.

    Running it again changes nothing; a document that somebody edited is kept.
    """
    from safelight.graph.document import load_document
    from safelight.graph.errors import GraphError, did_you_mean
    from safelight.host_adapters.cli.console import put_json
    from safelight.host_adapters.timeline.conform import REPEATS
    from safelight.host_adapters.timeline.conform import conform as conform_edit
    from safelight.host_adapters.timeline.edit import read_edit
    from safelight.host_adapters.timeline.load import load_timeline
    from safelight.host_adapters.timeline.restored import restored_timeline, timelines_out
    from safelight.host_adapters.timeline.shot_documents import RESTORED, shot_document, template_of, write_files

    if repeats not in REPEATS:
        raise GraphError(f"unknown --repeats '{repeats}'", remedy=did_you_mean(repeats, REPEATS) or "Use once or each.")
    pattern = template_of(load_document(template), read, write)
    loaded = load_timeline(timeline, fps, sequence)
    try:
        edit = read_edit(loaded)
        found = conform_edit(
            edit,
            media or [],
            timeline.absolute().parent,
            handles=handles,
            repeats="once" if repeats == "once" else "each",
            keep_going=keep_going,
            skip=output / RESTORED,
        )
    except GraphError as error:
        raise error.at(file=timeline) from None
    documents = {f"{shot.name}.toml": shot_document(pattern, shot) for shot in found.shots}
    others, remarks = {}, []
    made = restored_timeline(loaded, found, pattern, output)
    for name, text, remark in timelines_out(made, timeline, edit.rate):
        if text:
            others[name] = text
        else:
            remarks.append(f"{name} is not written: {remark}")
    files = write_files(output, documents, others, force=force, dry_run=dry_run)
    if as_json:
        put_json(
            {
                "ok": True,
                "timeline": timeline,
                "fps": edit.rate,
                "tracks": list(edit.tracks),
                "shots": [shot.as_data() for shot in found.shots],
                "disabled": [use.where for use in found.disabled],
                "left": [left.why for left in found.left],
                "without_media": list(edit.others),
                "gaps": edit.gaps,
                "transitions": edit.transitions,
                "dry_run": dry_run,
                "written": files.written,
                "unchanged": len(files.unchanged),
                "edited": files.edited,
                "stale": files.stale,
                "remarks": remarks,
            }
        )
        return
    _print(found, files, remarks, dry_run=dry_run)


def _print(found: Conform, files: Written, remarks: list[str], *, dry_run: bool) -> None:
    from rich.table import Table

    from safelight.host_adapters.cli.console import out, say
    from safelight.host_adapters.timeline.timecode import timecode

    edit = found.edit
    console = out()
    table = Table(title=f"{edit.name}, {edit.rate:g} frames a second", title_justify="left")
    for name in ("shot", "media", "frames", "handles", "used at", "source", "retime", "found by"):
        table.add_column(name, overflow="fold", no_wrap=name in ("frames", "used at", "source"))
    for shot in found.shots:
        for index, (use, match) in enumerate(zip(shot.uses, shot.matches, strict=True)):
            own = index == 0
            table.add_row(
                shot.name if own else "",
                shot.media.path.name if own else "",
                f"{shot.start}-{shot.end}" if own else "",
                f"{shot.first - shot.start} {shot.end - shot.last}" if own else "",
                f"{use.track} {use.record_timecode}",
                timecode(use.cut_in, use.rate),
                use.retime,
                match.by,
            )
    console.print(table)
    frames = sum(shot.length for shot in found.shots)
    used = sum(len(shot.uses) for shot in found.shots)
    console.print(f"{len(found.shots)} shots for {used} clips, {frames} frames to render", soft_wrap=True)
    if found.disabled:
        console.print(f"disabled, left as they are: {len(found.disabled)}")
    for text in (*(left.why for left in found.left), *remarks):
        console.print(f"left: {text}" if text not in remarks else text, soft_wrap=True, markup=False)
    for where in edit.others:
        console.print(f"shows no media: {where}", soft_wrap=True, markup=False)
    for path in files.edited:
        console.print(f"edited by hand, kept: {path}", soft_wrap=True)
    for path in files.stale:
        console.print(f"no part of this conform any more, kept: {path}", soft_wrap=True)
    would = "would write" if dry_run else "wrote"
    say(f"{would} {len(files.written)} files; {len(files.unchanged)} were as they should be")
