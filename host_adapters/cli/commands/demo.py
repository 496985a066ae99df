"""`safelight demo`: see what this is in two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safelight.host_adapters.cli.options import DeviceName, Json, Memory, Threads, read_size, time_text


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make it in.", show_default=False)],
    width: Annotated[int, typer.Option("--width", min=240, max=8192, help="Width of the plate; 16:9.")] = 960,
    frames: Annotated[int, typer.Option("--frames", "-f", min=1, max=1000, help="Frames of the plate.")] = 12,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another number gives other textures and grain.")] = 1,
    device: DeviceName = "auto",
    threads: Threads = None,
    memory: Memory = None,
    as_json: Json = False,
) -> None:
    """Make a plate with known truth, grain it as 500T, degrain it, regrain it as 50D; measure and show every step.

    Writes EXRs, the graphs that made them, contact_sheet.png, and index.html, which opens from disk.

    \b
    Examples
      safelight demo out/
      safelight demo out/ --width 1920 --frames 24
      safelight demo out/ --json
    """
    from safelight.graph.device import choose_device
    from safelight.host_adapters.cli.console import out, put_json, say
    from safelight.host_adapters.cli.demo.documents import Shot
    from safelight.host_adapters.cli.demo.run import make_demo
    from safelight.host_adapters.cli.guard import interruptible
    from safelight.host_adapters.cli.progress import progress_of

    place, budget = choose_device(device, threads), read_size(memory)
    shot = Shot(width=width, height=max(1, round(width * 9 / 16)), frames=frames, seed=seed)
    with interruptible() as cancel, progress_of("auto") as shown:
        made = make_demo(folder, shot, place, memory=budget, progress=shown, cancel=cancel)
    if as_json:
        put_json({"ok": True, **made.as_data()})
        return
    from rich.table import Table

    table = Table(title="against the truth", title_justify="left")
    for name in ("step", "PSNR of density, dB", "SSIM of density", "PSNR linear, dB"):
        table.add_column(name, justify="left" if name == "step" else "right")
    for step in made.measured.steps:
        similar = "-" if step.density_ssim is None else f"{step.density_ssim:.4f}"
        table.add_row(step.name, f"{step.density_psnr:.2f}", similar, f"{step.linear_psnr:.2f}")
    console = out()
    console.print(table)
    for reading in made.measured.readings:
        ratios = ", ".join(f"{layer} {ratio:.3f}" for layer, ratio in zip("RGB", reading.layers, strict=True))
        console.print(f"48 µm reading, {reading.label}: {ratios}")
    console.print(f"pictures: {made.page}", soft_wrap=True)
    say(f"{made.files} frames, {time_text(made.seconds)}")
