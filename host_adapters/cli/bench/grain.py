"""Grain by the figures: laid in, taken, laid in again, measured; beside what people do without a model of it.

Everything here is judged in the density of the stock, on pictures that are known without grain (`_known`). A field of
grain is divided by the stock's own sigma at each pixel's exposure, so that the model says variance 1 and its spectrum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from safelight.colour.density import Curve
from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.region import Region
from safelight.graph.registry import default_registry
from safelight.host_adapters.cli.bench._clips import from_log_codes, log_codes, plate
from safelight.host_adapters.cli.bench._ffmpeg import Filter, ffmpeg, filters
from safelight.host_adapters.cli.bench._known import Floats, Known, Light, percent, worst
from safelight.host_adapters.cli.bench._match import matched
from safelight.host_adapters.cli.bench._peers import THREADS, search
from safelight.host_adapters.cli.bench._shot import degrain, regrained
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.grain.analyse import GrainAnalyse, GrainAnalyseParams
from safelight.nodes.grain.degrain import DegrainParams
from safelight.nodes.grain.profile import Profile
from safelight.nodes.grain.spectrum import pixel_ratio
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.measure.microdensitometer import Microdensitometer

PITCHES = {"2K": 12.15, "4K": 6.08}
STOCKS = ("50D", "250D", "200T", "500T")
STOPS = (-4, -2, 2, 4, 6)
"""Stops about mid-grey at which a reading is compared with the table, besides mid-grey."""
LAYERS = ("R", "G", "B")


def run(*, quick: bool) -> list[Row]:
    """Measure; `quick` for a smoke test on a small scene."""
    rows: list[Row] = []
    rows += _laid_in(quick)
    rows += _taken(quick)
    rows += _analysed(quick)
    rows += _shares(quick)
    if "GrainMatch" in list(default_registry()):
        for name, scan in (("500T", "4K"),) if quick else (("500T", "4K"), ("250D", "2K")):
            rows += matched(name, scan, PITCHES[scan], quick)
    return rows


# --- Regrain -----------------------------------------------------------------------------------------------------


def _laid_in(quick: bool) -> Iterator[Row]:
    """Read Regrain's flat patches with a 48 µm microdensitometer, and those of recipes without a model."""
    errors: list[float] = []
    for name in STOCKS[-1:] if quick else STOCKS:
        for scan, pitch in PITCHES.items():
            found = _reading_errors(name, pitch, 120 if quick else 320)
            errors += found.ravel().tolist()
            stop, layer = (int(i) for i in np.unravel_index(np.abs(found).argmax(), found.shape))
            where = f"worst: {LAYERS[layer]} at {(0, *STOPS)[stop]:+d} stops"
            label = f"{name} at {scan}: 48 µm reading"
            yield Row(f"{label}, worst error", 100 * float(np.abs(found).max()), "%", "≤ 2", where)
            yield Row(f"{label}, median error", 100 * float(np.median(np.abs(found))), "%")
    yield Row("Regrain: 48 µm reading, median error", 100 * float(np.median(np.abs(errors))), "%", note="all of these")
    yield from _naive(quick)


def _flat(pitch: float, stops: float, places: int) -> tuple[Light, int]:
    """Return a flat frame (1, 3, H, W) that holds `places`² discs half a disc apart, and that distance."""
    size = Microdensitometer(pitch).weights.shape[0]
    step = max(1, size // 2)
    side = (places - 1) * step + size
    return np.full((1, 3, side, side), 0.18 * 2.0**stops, np.float32), step


def _reading_errors(name: str, pitch: float, places: int) -> Floats:
    """Return (stops, 3): the reading over the stock's table, less 1, at mid-grey and `STOPS`.

    At mid-grey on many places; elsewhere few places and the same noise, which the ratio to mid-grey does not feel.
    """
    stock, meter = load_stock(name), Microdensitometer(pitch)

    def read(stops: float, count: int) -> Floats:
        light, step = _flat(pitch, stops, count)
        made = regrained(light, name, pitch)[0].data
        found = [
            meter.sigma(_net(made[layer], curve), stock.cloud_um[layer], step)
            / stock.sigma48_at(layer, 0.18 * 2.0**stops)
            for layer, curve in enumerate(stock.curves)
        ]
        return np.array(found, np.float64)

    long, short = read(0, places), read(0, 24)
    return np.stack([long, *(long * read(stops, 24) / short for stops in STOPS)]) - 1


def _net(plane: Light, curve: Curve) -> Floats:
    """Return net density of nearly flat light: the curve at few places, and straight lines between."""
    at = np.linspace(float(plane.min()), float(plane.max()), 4001)
    return np.asarray(np.interp(plane, at, curve.net(at)))


def _naive(quick: bool) -> Iterator[Row]:
    """What people add without a model, as strong as 500T in a pixel of 4K at mid-grey, green."""
    name, pitch, places = "500T", PITCHES["4K"], 80 if quick else 160
    stock, meter = load_stock(name), Microdensitometer(pitch)
    ratio = pixel_ratio(stock.cloud_um[1], pitch)
    light, step = _flat(pitch, 0, places)
    known = Known(light, name, pitch)
    rng = np.random.default_rng(1)
    white = rng.standard_normal(light.shape[2:])
    reading = meter.sigma(white, stock.cloud_um[1], step) * ratio
    yield Row("white noise of the same sigma: 48 µm reading", reading, "×", note="500T at 4K, green; 1 is right")
    if not filters()[0]:
        return
    # ffmpeg's noise in 8-bit log, its strength found so that a pixel's density has the stock's sigma at mid-grey.
    parts = [_flat(pitch, stops, places)[0] for stops in (0, -4, 4)]
    wanted = [float(Known(part, name, pitch).sigma(0)[1, 0, 0]) for part in parts]

    def made(part: Light, strength: int) -> Floats:
        codes = ffmpeg(log_codes(part, False), f"format=gbrp,noise=alls={strength}:allf=t")[0]
        return np.asarray(known.film.encode(from_log_codes(codes[0]))[1])

    strengths = range(1, 40, 4 if quick else 1)
    best = min(strengths, key=lambda strength: abs(made(parts[0], strength).std() - wanted[0]))
    for part, stops in zip(parts, (0, -4, 4), strict=True):
        sigma48 = float(stock.sigma48_at(1, 0.18 * 2.0**stops))
        value = meter.sigma(made(part, best), stock.cloud_um[1], step) / sigma48
        note = f"noise=alls={best}:allf=t on an 8-bit log encode; 1 is right"
        yield Row(f"ffmpeg's noise: 48 µm reading at {stops:+d} stops", value, "×", note=note)


# --- Degrain, and Regrain after it -------------------------------------------------------------------------------


def _taken(quick: bool) -> Iterator[Row]:
    """What Degrain takes of a grained Plate, and what Regrain makes of the rest."""
    size = (5, 192, 320) if quick else (7, 540, 960)
    clean = plate(*size)
    planes = np.stack([clean[i].data for i in sorted(clean)])
    middle = range(2, size[0] - 2)
    kinds = [("500T", "4K")] if quick else [(name, scan) for name in ("500T", "250D") for scan in PITCHES]
    peers = [one for one in filters()[0] if one.name in ("nlmeans", "fftdnoiz")]
    for name, scan in kinds:
        known = Known(planes, name, PITCHES[scan])
        label = f"{name} at {scan}"
        made = degrain(known.grained, DegrainParams(), middle).made
        yield from _judged(f"{label}: taken", known, [made[i].data for i in middle], middle, True)
        named = degrain(known.grained, DegrainParams(noise="stock", stock=name, pitch=known.pitch), middle).made
        yield from _judged(f"{label}: taken, stock known", known, [named[i].data for i in middle], middle, True)
        for peer in peers[:1] if quick else peers:
            yield from _judged(f"{label}: taken by {peer.name}", known, _by(peer, known, middle, quick), middle, False)
        again = regrained(np.stack([made[i].data for i in middle]), name, known.pitch, seed=2)
        fields = [known.units(again[k].data, planes[i], i) for k, i in enumerate(middle)]
        yield from _like(f"{label}: Degrain, then Regrain", known, fields, middle)


def _by(peer: Filter, known: Known, frames: Sequence[int], quick: bool) -> list[Light]:
    """Return what a peer makes of frames in a log encode, at the setting with the best PSNR."""
    grained = np.stack([known.grained[i].data for i in range(len(known.clean))])
    given, wanted = log_codes(grained, peer.deep), log_codes(known.clean, peer.deep)
    sigma = float(np.sqrt(np.mean((given.astype(np.float64) - wanted) ** 2))) / (257 if peer.deep else 1)
    setting = peer.start(sigma) if quick else search(peer, given, wanted, sigma)
    return [from_log_codes(peer.middle(given, i, setting)) for i in frames]


def _judged(label: str, known: Known, made: Sequence[Light], frames: Sequence[int], ours: bool) -> Iterator[Row]:
    """Say how much of what was taken is grain."""
    taken = [known.units(known.grained[i].data, picture, i) for i, picture in zip(frames, made, strict=True)]
    errors = known.ring_errors(taken)
    note = f"rings, mean of layers: {percent(errors.mean(0))}"
    yield Row(f"{label}: spectrum, worst ring", worst(errors), "%", "≤ 10" if ours else "", note)
    kinds = ("edges and texture", "slopes")
    for kind, found in zip(kinds, known.edges(taken, frames), strict=True):
        note = ", ".join(f"{name} {value:+.4f}" for name, value in zip(LAYERS, found, strict=True))
        target = "< 0.02" if ours else ""
        yield Row(f"{label}: correlation with {kind}", float(np.abs(found).max()), "", target, note)


def _like(label: str, known: Known, fields: Sequence[Floats], frames: Sequence[int]) -> Iterator[Row]:
    """Say how near fields are to the model's grain."""
    calm, every = known.readings(fields, frames) - 1, known.readings(fields) - 1
    note = f"where the clean picture is flat; R, G, B: {percent(calm)}"
    yield Row(f"{label}: 48 µm reading", worst(calm), "%", "≤ 5", note)
    note = f"with what Degrain took of edges and texture; R, G, B: {percent(every)}"
    yield Row(f"{label}: 48 µm reading, everywhere", worst(every), "%", "", note)
    errors = known.ring_errors(fields)
    note = f"rings, mean of layers: {percent(errors.mean(0))}"
    yield Row(f"{label}: spectrum, worst ring", worst(errors), "%", "≤ 10", note)


# --- GrainAnalyse ------------------------------------------------------------------------------------------------


def _profile(frames: Sequence[Light], **settings: object) -> Profile:
    """Analyse a plate as the engine does."""
    node, params = GrainAnalyse(), GrainAnalyseParams.model_validate(settings)
    region = Region.sized(frames[0].shape[2], frames[0].shape[1])
    clips = {"input": Clip(0, len(frames) - 1, region, region)}
    asked = node.analysis_requests(params, clips)
    pictures = [(request.frame, Image(frames[request.frame], region)) for request in asked]
    return Profile.model_validate(node.analyse(params, pictures, clips, Device("cpu", THREADS))["profile"])


def _analysed(quick: bool) -> Iterator[Row]:
    """Measure the Plate on a known stock, and say how far the profile is from the stock's tables."""
    clean = plate(*((4, 360, 640) if quick else (4, 1008, 1792)))
    planes = np.stack([clean[i].data for i in sorted(clean)])
    for name, scan in (("500T", "4K"),) if quick else (("500T", "4K"), ("500T", "2K"), ("250D", "4K")):
        known, label = Known(planes, name, PITCHES[scan]), f"GrainAnalyse, {name} at {scan}"
        profile = _profile([known.grained[i].data for i in range(4)], stock=name, pitch=known.pitch)
        sigma, rings = [], []
        for layer, channel in enumerate(profile.channels.values()):
            for point in channel.curve:
                # The chart's patches stand at whole stops: elsewhere sigma is a mean over a range of levels.
                if point.stops is None or abs(point.stops) > 4 or abs(point.stops - round(point.stops)) > 0.12:
                    continue
                truth = known.stock.sigma48_at(layer, point.level)
                truth = truth * pixel_ratio(known.stock.cloud_um[layer], known.pitch)
                sigma.append(float(point.sigma / truth - 1))
            if channel.spectrum:
                rings.append(np.asarray(channel.spectrum) / known.rings(layer) - 1)
        if not sigma or not rings:
            yield Row(f"{label}: nothing measured", 0, "", note="the picture is too small")
            continue
        count = f"{len(sigma)} levels from -4 to +4 stops"
        yield Row(f"{label}: sigma, median error", 100 * float(np.median(np.abs(sigma))), "%", note=count)
        yield Row(f"{label}: sigma, worst error", worst(np.array(sigma)), "%", note=count)
        errors = np.array(rings)
        note = f"rings, mean of layers: {percent(errors.mean(0))}"
        yield Row(f"{label}: spectrum, median error", 100 * float(np.median(np.abs(errors))), "%")
        yield Row(f"{label}: spectrum, worst ring", worst(errors), "%", note=note)
        off = np.abs(np.asarray(profile.correlation) - np.eye(3)).max()
        yield Row(f"{label}: correlation, worst error", float(off), "", note="the layers' grain is independent")


def _shares(quick: bool) -> Iterator[Row]:
    """Mix grain and white noise on the Plate, of one sigma together, and ask for the film's share."""
    clean = plate(*((2, 270, 480) if quick else (4, 540, 960)))
    known = Known(np.stack([clean[i].data for i in sorted(clean)]), "500T", PITCHES["4K"])
    rng = np.random.default_rng(3)
    errors = []
    for film in (0.5,) if quick else (0.0, 0.25, 0.5, 0.75, 1.0):
        frames = []
        for i, planes in enumerate(known.clean):
            grain = known.film.encode(known.grained[i].data) - known.film.encode(planes)
            white = known.sigma(i) * rng.standard_normal(planes.shape)
            density = known.film.encode(planes) + film**0.5 * grain + (1 - film) ** 0.5 * white
            frames.append(known.film.decode(density).astype(np.float32))
        profile = _profile(frames, pitch=known.pitch)
        found = [channel.film_share for channel in profile.channels.values()]
        said = [share for share in found if share is not None]
        words = ["cannot tell" if share is None else f"{share:.0%}" for share in found]
        note = f"R, G, B: {', '.join(words)}"
        if said:
            errors += [abs(share - film) for share in said]
            yield Row(f"film share of a plate with {film:.0%}", 100 * float(np.mean(said)), "%", note=note)
        else:
            yield Row(f"film share of a plate with {film:.0%}: not told", 0, "", note=note)
    if errors:
        yield Row("film share, worst error", 100 * max(errors), "points", "≤ 15", "of all layers and mixes")
