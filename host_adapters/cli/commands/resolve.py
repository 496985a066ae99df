"""`safelight resolve`: shots of DaVinci Resolve's timeline through a graph and back, and the menu scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safelight.host_adapters.cli.guard import guarded
from safelight.host_adapters.cli.options import DeviceName, GraphFile, Json, Memory, Threads

if TYPE_CHECKING:
    from safelight.host_adapters.resolve.connect import Session
    from safelight.host_adapters.resolve.job import Options
    from safelight.host_adapters.resolve.shots import HostShot

OUTPUT = Path("~/Safelight/resolve")

Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the jobs: pictures, documents, journals.")
]
Handles = Annotated[int, typer.Option("--handles", min=0, max=10000, help="Frames before and after, where there are.")]
Back = Annotated[
    str,
    typer.Option(
        "--back",
        metavar="take|track|replace",
        help="How it comes back: a take of the shot, a track above with the grade copied, or in place of the media "
        "everywhere it is used.",
    ),
]
To = Annotated[
    Path | None, typer.Option("--to", metavar="DIR", help="Folder of scripts. Default: Resolve's, of this user.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Write nothing; say what would be.")]
Read = Annotated[str, typer.Option("--read", metavar="NODE", help="The graph's Read, if it has several.")]
Write = Annotated[str, typer.Option("--write", metavar="NODE", help="The Write that comes back, if there are several.")]

app = typer.Typer(
    name="resolve",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""DaVinci Resolve: shots of the timeline through a graph and back.

    \b
    Begin with
      safelight resolve shots                  what is on the open timeline
      safelight resolve run clean.toml         the shot under the playhead, back as a take
      safelight resolve install clean.toml     the same from Workspace > Scripts

    Checked against the published scripting interface; see the README of the adapter for what was run where.
    """,
)


def shots(as_json: Json = False) -> None:
    """List the shots of the open timeline: transitions, titles and generators show no media and are left out.

    \b
    Examples
      safelight resolve shots
      safelight resolve shots --json
    """
    from safelight.host_adapters.cli.console import out, put_json
    from safelight.host_adapters.resolve.connect import connect

    session = connect()
    found = _shots(session)
    if as_json:
        put_json({"ok": True, "host": session.told, "shots": [shot.as_data() for shot in found]})
        return
    from rich.table import Table

    table = Table(title=session.told, title_justify="left")
    for name in ("shot", "track", "timecode", "frames", "media", "colour space", ""):
        table.add_column(name, overflow="fold", no_wrap=name in ("track", "timecode"))
    for shot in found:
        note = shot.refused or ("" if shot.source.readable else "rendered by Resolve")
        media = shot.source.pattern.replace("\\", "/").rpartition("/")[2]
        row = (shot.name, f"V{shot.track}", shot.timecode, str(shot.duration), media, shot.source.space, note)
        table.add_row(*row, style=None if shot.enabled else "dim")
    out().print(table)


def run(
    graph: GraphFile,
    shot: Annotated[
        list[str] | None,
        typer.Option("--shot", metavar="NAME", help="Shot by name or id; repeatable. Default: under the playhead."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All shots of the timeline that are enabled.")] = False,
    back: Back = "take",
    handles: Handles = 8,
    output: Output = OUTPUT,
    read: Read = "",
    write: Write = "",
    again: Annotated[bool, typer.Option("--again", help="Restore shots whose marker says that they were.")] = False,
    rendered: Annotated[
        bool, typer.Option("--rendered", help="Let Resolve render the pull, even where the camera file can be read.")
    ] = False,
    preset: Annotated[
        str, typer.Option("--preset", help="Render preset that a pull through Resolve begins from.")
    ] = "H.264 Master",
    keep_going: Annotated[bool, typer.Option("--keep-going", help="When a shot fails, go on with the others.")] = False,
    device: DeviceName = "auto",
    threads: Threads = None,
    memory: Memory = None,
    as_json: Json = False,
) -> None:
    """Restore shots: pull with handles, render by the engine, bring back; a marker makes a second run a no-op.

    The camera file is read itself where that can be done; else Resolve renders it with handles on a timeline of its
    own, the project's output transform baked in. Restored pictures are EXR (or what the graph's Write says) in the
    colour space of the pull, so that the grade still fits. Whatever fails is taken back at once; 'safelight resolve
    undo' takes back what succeeded.

    \b
    Examples
      safelight resolve run clean.toml
      safelight resolve run clean.toml --shot A001_C003 --back track
      safelight resolve run clean.toml --all --handles 12 -o /jobs/reel1 --keep-going
    """
    from dataclasses import replace

    from safelight.graph.errors import Cancelled, GraphError, SafelightError
    from safelight.host_adapters.cli.console import FAILED, error_data, error_line, put_json, say
    from safelight.host_adapters.cli.guard import interruptible
    from safelight.host_adapters.resolve.connect import connect
    from safelight.host_adapters.resolve.job import Place, run_job
    from safelight.host_adapters.resolve.project import read_colour

    options = _options(graph, read, write, output, handles, back, again=again, rendered=rendered, preset=preset)
    engine = ["--device", device]
    engine += ["--threads", str(threads)] if threads else []
    engine += ["--memory", memory] if memory else []
    options = replace(options, engine=tuple(engine))
    if every and shot:
        raise GraphError("--all and --shot exclude each other", remedy="Leave one out.")
    session = connect()
    project, timeline = session.project(), session.timeline()
    place = Place(session, project, timeline, read_colour(session, project, timeline))
    chosen = _chosen(_shots(session), shot or [], timeline, every=every)
    done: list[dict[str, Any]] = []
    failed: list[SafelightError] = []
    with interruptible() as cancel:
        for one in chosen:
            try:
                result = run_job(place, one, options, _Teller(), cancel)
            except Cancelled:
                raise
            except SafelightError as error:
                if not keep_going:
                    raise
                say(error_line(error))
                failed.append(error)
                continue
            what = f"back as a {options.back}" if result.done else "restored before, left as it is"
            say(f"{one.name}: {what}")
            for note in result.notes:
                say(f"note: {one.name}: {note}")
            done.append(
                {"shot": one.name, "id": one.id, "job": result.job, "folder": result.folder, "done": result.done}
            )
    if as_json:
        told = [error_data(error) for error in failed]
        put_json({"ok": not failed, "host": session.told, "shots": done, "failed": told})
    if failed:
        raise typer.Exit(FAILED)


def undo(
    job: Annotated[
        Path | None, typer.Argument(metavar="[JOB]", help="Folder of a job. Default: the latest.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every job of this project, the latest first.")] = False,
    output: Output = OUTPUT,
    as_json: Json = False,
) -> None:
    """Take back what jobs did: takes, tracks, replaced and imported media, markers. The pictures stay on disk.

    \b
    Examples
      safelight resolve undo
      safelight resolve undo ~/Safelight/resolve/A001_C003_5f3a9c0d2b7e1842
      safelight resolve undo --all
    """
    from safelight.graph.errors import GraphError, RenderError
    from safelight.host_adapters.cli.console import put_json, say
    from safelight.host_adapters.resolve.connect import connect
    from safelight.host_adapters.resolve.journal import NAME, Journal

    project = connect().project()
    mine = project.id
    paths = [job / NAME] if job else sorted(
        output.expanduser().glob(f"*/{NAME}"), key=lambda path: path.stat().st_mtime_ns, reverse=True
    )  # fmt: skip
    journals = [journal for path in paths if (journal := Journal.load(path)).steps]
    if job and journals and journals[0].project != mine:
        raise GraphError("the job was done in another project", file=job, remedy="Open that one in Resolve.")
    journals = [journal for journal in journals if journal.project == mine][: None if every else 1]
    if not journals:
        raise GraphError("there is nothing to take back in this project", file=job or output.expanduser())
    taken = []
    for journal in journals:
        problems = journal.undo(project)
        assert journal.path is not None
        if problems:
            raise RenderError(
                f"not everything could be taken back: {problems[0]}",
                file=journal.path.parent,
                remedy="Put that right in Resolve, and run undo again.",
            )
        taken.append(journal.path.parent)
        say(f"taken back: {journal.path.parent.name}")
    if as_json:
        put_json({"ok": True, "taken_back": taken})


def install(
    graph: GraphFile,
    back: Back = "take",
    handles: Handles = 8,
    output: Output = OUTPUT,
    read: Read = "",
    write: Write = "",
    to: To = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Put Safelight into Resolve's menu Workspace > Scripts: restore the shot under the playhead, and undo.

    A Python script serves Studio, and the free edition up to 21.0; a Lua script the free edition from 21.1 on. Both
    start the engine that this command belongs to. Install again to change graph or options; other people's scripts
    are never overwritten.

    \b
    Examples
      safelight resolve install clean.toml
      safelight resolve install clean.toml --back track --handles 12 --dry-run
      safelight resolve uninstall
    """
    from safelight.host_adapters.cli.console import put_json, say
    from safelight.host_adapters.resolve import install as work

    _options(graph, read, write, output, handles, back)
    template = graph.expanduser().absolute()
    shared = ["--handles", str(handles), "--output", str(output.expanduser().absolute())]
    shared += [*(["--read", read] if read else []), *(["--write", write] if write else [])]
    arguments = ["resolve", "run", str(template), *shared, "--back", back]
    folder = to or work.scripts_folder()
    written = work.install(folder, work.scripts(arguments, template, shared), dry_run=dry_run)
    if as_json:
        put_json({"ok": True, "folder": folder, "written": written, "dry_run": dry_run})
    for path in written:
        say(f"{'would write' if dry_run else 'wrote'} {path}")
    if not written:
        say(f"{folder}: as it should be")
    elif not dry_run:
        say("in Resolve: Workspace > Scripts > Safelight, with the playhead on a shot of the Edit page")


def uninstall(to: To = None, dry_run: DryRun = False) -> None:
    """Take the menu scripts out again; other people's stay."""
    from safelight.host_adapters.cli.console import say
    from safelight.host_adapters.resolve import install as work

    gone = work.uninstall(to or work.scripts_folder(), dry_run=dry_run)
    for path in gone:
        say(f"{'would delete' if dry_run else 'deleted'} {path}")
    if not gone:
        say("no script of ours is there")


def file(
    request: Annotated[Path, typer.Argument(metavar="REQUEST", help="Facts of a shot, lines name=value.")],
    graph: GraphFile,
    handles: Handles = 8,
    output: Output = OUTPUT,
    read: Read = "",
    write: Write = "",
) -> None:
    """Restore a shot from a file of facts; answer in lines name=value. For the Lua script."""
    from safelight.graph.errors import SafelightError
    from safelight.host_adapters.cli.console import exit_status
    from safelight.host_adapters.cli.guard import interruptible
    from safelight.host_adapters.resolve.from_file import read_request, restore_request

    try:
        with interruptible() as cancel:
            answer = restore_request(
                read_request(request), _options(graph, read, write, output, handles, "take"), _Teller(), cancel
            )
    except SafelightError as error:
        print(f"error={error}", flush=True)
        raise typer.Exit(exit_status(error)) from None
    for name, value in answer.items():
        print(f"{name}={value}", flush=True)


for _command in (shots, run, undo, install, uninstall):
    app.command()(guarded(_command))
app.command(hidden=True)(guarded(file))


class _Teller:
    """Says how far a job is, a line each tenth."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, text: str) -> None:
        from safelight.host_adapters.cli.console import say

        head, _, percent = text.rstrip(" %").rpartition(" ")
        tenth = f"{head} {float(percent) // 10:g}" if percent.replace(".", "").isdigit() else text
        if tenth != self._said:
            self._said = tenth
            say(text)


def _options(
    graph: Path,
    read: str,
    write: str,
    output: Path,
    handles: int,
    back: str,
    *,
    again: bool = False,
    rendered: bool = False,
    preset: str = "H.264 Master",
) -> Options:
    from safelight.graph.document import load_document
    from safelight.graph.errors import GraphError, did_you_mean
    from safelight.host_adapters.resolve.back import BACKS
    from safelight.host_adapters.resolve.job import Options
    from safelight.host_adapters.timeline.shot_documents import template_of

    if back not in BACKS:
        raise GraphError(f"unknown --back '{back}'", remedy=did_you_mean(back, BACKS) or "Use take, track or replace.")
    template = template_of(load_document(graph), read, write)
    return Options(
        template,
        output.expanduser(),
        handles=handles,
        back=back,  # type: ignore[arg-type]
        again=again,
        rendered=rendered,
        preset=preset,
    )


def _shots(session: Session) -> list[HostShot]:
    from safelight.host_adapters.resolve.project import read_colour
    from safelight.host_adapters.resolve.shots import list_shots

    project, timeline = session.project(), session.timeline()
    rate = read_colour(session, project, timeline).settings.get("timelineFrameRate", "24")
    return list_shots(timeline, float(rate.split()[0]))  # "29.97 DF"


def _chosen(found: list[HostShot], wanted: list[str], timeline: Any, *, every: bool) -> list[HostShot]:
    from safelight.graph.errors import GraphError, did_you_mean
    from safelight.host_adapters.resolve.shots import current_shot

    if every:
        return [shot for shot in found if shot.enabled]
    if not wanted:
        return [current_shot(timeline, found)]
    chosen = []
    for name in wanted:
        fitting = [shot for shot in found if name in (shot.name, shot.id)]
        if not fitting:
            raise GraphError(
                f"there is no shot '{name}' on the timeline",
                remedy=did_you_mean(name, [shot.name for shot in found]) or "'safelight resolve shots' lists them.",
            )
        chosen += fitting
    return chosen
