"""`safelight train`: the shipped nets made again, or made on one's own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safelight.host_adapters.cli.options import Json, Threads, time_text

if TYPE_CHECKING:
    from safelight.nodes.resolution.learned.training.loop import State


def train(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Pictures to train on: PNG, WebP, TIFF (display-referred), EXR (scene-linear), sub-folders included.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Weights to write.", show_default=False)],
    net: Annotated[
        str,
        typer.Option(
            "--net",
            metavar="fast|main|restore|fill",
            help="The net: two sizes that enlarge, one that takes off grain and codecs too, or fill, for holes.",
        ),
    ] = "fast",
    scale: Annotated[int, typer.Option("--scale", metavar="2|4", help="How many times it enlarges.")] = 2,
    degradation: Annotated[
        str | None,
        typer.Option(
            "--degradation",
            metavar="bicubic|area|film",
            help="What it learns to undo: a scaler's reduction, one by means of light as sensors and scanners make it, "
            "or blur, reduction, grain and codec. Default: film for restore, bicubic for the others.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", min=0.05, help="Be done by then, with fewer steps if need be. Default: all of the recipe's."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps; default: the recipe's.")] = None,
    start: Annotated[
        Path | None,
        typer.Option("--start", metavar="FILE", help="Weights to begin as; default: what the recipe names."),
    ] = None,
    test: Annotated[
        Path | None, typer.Option("--test", metavar="FOLDER", help="Pictures to judge the result by, never trained on.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw loss and held-out PSNR as it goes.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another number gives another net as good.")] = 0,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to train.")] = "auto",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Train a net on a folder of pictures; its weights go by their path into `Upscale`, those of `restore`, which takes
    off grain and codecs in colour as it enlarges twice, into `Restore`, those of `fill` into `Repair`.

    One picture in fourteen is held out and tells how it goes. An unfinished training lies in FILE.checkpoint; the same
    command goes on from there. With the same pictures, seed and threads a processor makes the same weights again.

    \b
    Examples
      safelight train photos/ -o fast.safetensors                     the shipped fast net: minutes on two cores
      safelight train photos/ -o main.safetensors --net main          the larger one, begun as the fast one
      safelight train photos/ -o area.safetensors --degradation area  for pixels that are means of light
      safelight train scans/ -o film.safetensors --degradation film   one that expects grain and codecs
      safelight train photos/ -o restore.safetensors --net restore    grain, codec and enlarging at once
      safelight train photos/ -o fill.safetensors --net fill          for holes that no other frame shows
      safelight train photos/ -o try.safetensors --minutes 2 --test kodak/ --plot try.png
    """
    from safelight.graph.device import cpu_count
    from safelight.graph.errors import GraphError
    from safelight.host_adapters.cli.console import put_json, say
    from safelight.host_adapters.cli.training_plot import draw
    from safelight.nodes.damage import fill_training
    from safelight.nodes.resolution.learned.models import available
    from safelight.nodes.resolution.learned.training.make import Job, make
    from safelight.nodes.resolution.learned.training.recipes import WORN

    if out.suffix != ".safetensors":
        raise GraphError(f"weights are written as .safetensors, not '{out.suffix}'", remedy="Name it FILE.safetensors.")
    if net == "fill" and degradation is not None:
        raise GraphError(
            "fill has its own degradation: holes, with grain around them", remedy="Leave --degradation out."
        )
    if scale not in (2, 4):
        raise GraphError(f"no net enlarges {scale} times", remedy="Use --scale 2 or 4.")
    if plot is not None and plot.suffix.casefold() != ".png":
        raise GraphError(f"the plot is a PNG, not '{plot.suffix}'", remedy="Name it FILE.png.")
    if device not in ("auto", "cpu", "cuda"):
        raise GraphError(f"unknown device '{device}'", remedy="Use auto, cpu or cuda.")
    available()
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    job = Job(folder, out, net, scale, degradation, start, test, steps, minutes, seed, threads or cpu_count(), device)
    worn = degradation or WORN.get(net, "bicubic")
    title = f"fill on {folder.name}" if net == "fill" else f"{net} x{scale}, {worn}, on {folder.name}"
    say(f"training {title}" + (f", going on from {job.checkpoint}" if job.checkpoint.exists() else ""))

    def tell(state: State, total: int) -> None:
        done = state.step / total
        if minutes is not None:
            done = max(done, state.seconds / (60 * minutes))
        left = state.seconds * (1 - done) / done if done else 0.0
        held = f", held-out PSNR {state.scores[-1][1]:.2f} dB" if state.scores else ""
        say(f"step {state.step}/{total}, loss {state.losses[-1][1]:.5f}{held}, {time_text(max(0.0, left))} left")
        if plot is not None:
            draw(title, state.losses, state.scores, None).save(plot)

    made = (fill_training.make if net == "fill" else make)(job, tell)
    if plot is not None:
        draw(title, made.state.losses, made.state.scores, made.held_base, made.base).save(plot)
    if as_json:
        put_json(
            {
                "ok": True,
                "weights": out,
                "net": net,
                "scale": None if net == "fill" else scale,
                "parameters": made.parameters,
                "steps": made.state.step,
                "seconds": round(made.state.seconds, 1),
                "losses": made.state.losses,
                "scores": made.state.scores,
                "held_out": {"psnr": made.held, made.base.lower(): made.held_base},
                "test": None if made.test is None else {"psnr": made.test, made.base.lower(): made.test_base},
            }
        )
        return
    print(f"{out}: {made.parameters} weights, {made.state.step} steps in {time_text(made.state.seconds)}")
    print(f"held-out pictures: {made.held:.2f} dB ({made.base} {made.held_base:.2f})")
    if made.test is not None:
        print(f"{test}: {made.test:.2f} dB ({made.base} {made.test_base:.2f})")
