"""What lies in a pipeline's folder, looked at before it is believed: JSON and headers are read, no gigabytes are.

A folder is what `save_pretrained` of diffusers writes, or a download of one: `model_index.json` and a folder for each
part. Nothing in it is run: parts whose code lies beside them are refused, and so are pickles unless they are allowed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from safelight.graph.errors import GraphError, did_you_mean
from safelight.nodes.resolution.diffusion.memory import Sizes, needed
from safelight.nodes.resolution.learned import storing

INDEX = "model_index.json"
INSTALL = "pip install 'safelight[diffusion]'"
UPSCALE, LATENT = "StableDiffusionUpscalePipeline", "LDMSuperResolutionPipeline"
KINDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    UPSCALE: {
        "unet": ("UNet2DConditionModel",),
        "vae": ("AutoencoderKL",),
        "text_encoder": ("CLIPTextModel",),
        "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
        "low_res_scheduler": (),
        "scheduler": (),
    },
    LATENT: {"unet": ("UNet2DModel",), "vqvae": ("VQModel", "AutoencoderKL"), "scheduler": ()},
}
"""Parts of each kind of pipeline and their classes; for none: any scheduler of diffusers."""
LEFT_OUT = ("safety_checker", "feature_extractor", "watermarker")
"""Parts that are not loaded: one would put black in the place of pictures, another a mark into them."""
SMALL = 1 << 16
"""Values up to which a tensor is looked through for what is no number before anything renders."""
_SAMPLES = 16


@dataclass(frozen=True, eq=False)
class Facts:
    """What a folder holds."""

    path: Path
    kind: str
    sizes: Sizes
    noisiest: int
    """Highest noise level that the pipeline takes; 0 if it takes none."""
    variant: str | None
    """Part of the weights' file names, as in `….fp16.safetensors`."""
    pickled: bool
    digest: str
    """Of the configurations, the headers of the weights and samples of their bytes."""
    stored: Mapping[str, int]
    """Values in each part's weights; of pickles nothing is known."""

    @property
    def scale(self) -> int:
        """Output pixels for an input pixel, on a side."""
        return self.sizes.scale

    @property
    def told(self) -> bool:
        """Takes a prompt."""
        return self.kind == UPSCALE


def available(kind: str = UPSCALE) -> None:
    """Refuse where the extra is not installed."""
    wanted = ("torch", "safetensors", "diffusers", *(("transformers",) if kind == UPSCALE else ()))
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        raise GraphError(f"diffusion pipelines need {' and '.join(missing)}, not installed here", remedy=INSTALL)


def look(path: Path, *, pickled: bool = False) -> Facts:
    """Return what a folder holds, or refuse it.

    Raises
    ------
    GraphError
        No such folder, no pipeline in it, one of an unknown kind, with code of its own, with pickled, missing, cut off
        or unfit weights; the extra is missing.
    """
    if not path.exists():
        raise GraphError("there is no such folder", file=path, remedy="Mend the path. Nothing is ever downloaded.")
    if not path.is_dir():
        raise GraphError(
            "is a file, and a pipeline is a folder", file=path, remedy=f"Name the folder that holds {INDEX}."
        )
    if not (path / INDEX).is_file():
        raise GraphError(
            f"has no {INDEX}: no pipeline of diffusers", file=path, remedy="Name the folder that holds that file."
        )
    state = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in sorted(path.rglob("*.*")))
    return _looked(path, pickled, state)


@lru_cache(maxsize=8)
def _looked(path: Path, pickled: bool, state: tuple[tuple[str, int, int], ...]) -> Facts:
    index = _json(path / INDEX)
    kind = _kind(index, path)
    available(kind)
    parts = KINDS[kind]
    for name, classes in parts.items():
        _part(index, name, classes, path)
    decoder = "vae" if kind == UPSCALE else "vqvae"
    weighted = ("unet", decoder, *(("text_encoder",) if kind == UPSCALE else ()))
    configs = {name: _config(path / name) for name in weighted}
    files = {name: _weights(path / name, pickled) for name in weighted}
    # Tensors are read only once all of them are known to be there.
    stored = {name: sum(_values(file) for file in found if not _pickle(file)) for name, found in files.items()}
    many = {"unet": stored["unet"], "decoder": stored[decoder]}
    if any(_pickle(file) for found in files.values() for file in found):
        lengths = {name: sum(file.stat().st_size for file in found) // 4 for name, found in files.items()}
        many = {"unet": lengths["unet"], "decoder": lengths[decoder]}
    sizes = Sizes(configs["unet"], configs[decoder], many)
    noisiest = _fits(sizes, index, files["unet"], path, kind)
    some = [file for found in files.values() for file in found]
    return Facts(
        path,
        kind,
        sizes,
        noisiest,
        "fp16" if any(".fp16." in file.name for file in some) else None,
        any(_pickle(file) for file in some),
        _digest(path, parts, some),
        stored,
    )


# --- parts -----------------------------------------------------------------------------------------------------------


def _kind(index: Mapping[str, Any], path: Path) -> str:
    name = index.get("_class_name")
    if isinstance(name, list):
        raise _own_code(f"the pipeline {'.'.join(str(word) for word in name)}", path)
    if name not in KINDS:
        raise GraphError(
            f"is a pipeline of the kind {name}, which does not enlarge pictures or is not known here",
            file=path,
            remedy=did_you_mean(str(name), KINDS) or f"Use a {' or '.join(KINDS)}.",
        )
    return str(name)


def _part(index: Mapping[str, Any], name: str, classes: tuple[str, ...], path: Path) -> None:
    entry = index.get(name)
    if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(word, str) for word in entry)):
        raise GraphError(f"its {INDEX} names no {name}", file=path, remedy="Fetch the whole pipeline.")
    library, found = entry
    if library not in ("diffusers", "transformers"):
        raise _own_code(f"its {name}, {library}.{found},", path)
    if found not in classes if classes else not found.endswith("Scheduler"):
        raise GraphError(
            f"its {name} is a {found}, where {' or '.join(classes) or 'a scheduler'} belongs",
            file=path,
            remedy="Use a pipeline as it was published.",
        )
    if not (path / name).is_dir():
        raise GraphError(f"its {name} is missing", file=path / name, remedy="Fetch the whole pipeline.")


def _config(folder: Path) -> Mapping[str, Any]:
    file = folder / "config.json"
    if not file.is_file():
        raise GraphError("is missing", file=file, remedy="Fetch the whole pipeline.")
    config = _json(file)
    if "auto_map" in config:
        raise _own_code(f"its {folder.name}", folder.parent)
    return config


def _own_code(what: str, path: Path) -> GraphError:
    return GraphError(
        f"{what} comes with code of its own, which is never run", file=path, remedy="Use a pipeline of diffusers' own."
    )


def _json(file: Path) -> Mapping[str, Any]:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GraphError(f"cannot be read as JSON ({error})", file=file, remedy="Fetch it again.") from None
    if not isinstance(held, dict):
        raise GraphError("holds no table of names", file=file, remedy="Fetch it again.")
    return held


# --- weights ---------------------------------------------------------------------------------------------------------


def _pickle(file: Path) -> bool:
    return file.suffix != ".safetensors"


def _weights(folder: Path, pickled: bool) -> list[Path]:
    """Return the files of a part's weights: whole numbers first, halves where there are no others."""
    for stem in ("diffusion_pytorch_model", "model"):
        for middle in ("", ".fp16"):
            single = folder / f"{stem}{middle}.safetensors"
            if single.is_file():
                return [single]
            index = folder / f"{stem}.safetensors.index{middle}.json"
            if index.is_file():
                return _shards(index)
    pickles = sorted(file for file in folder.glob("*.bin") if file.is_file())
    if not pickles:
        raise GraphError(
            "holds no weights (.safetensors)", file=folder, remedy="Fetch the whole pipeline, its weights too."
        )
    if not pickled:
        raise GraphError(
            "is a pickle: such files can hold programs",
            file=pickles[0],
            remedy="Fetch the .safetensors beside it, or allow pickled weights if you trust where it is from.",
        )
    return pickles


def _shards(index: Path) -> list[Path]:
    named = _json(index).get("weight_map")
    names = sorted({str(name) for name in named.values()}) if isinstance(named, dict) else []
    files = [index.parent / name for name in names if Path(name).name == name]
    lacking = [file for file in files if not file.is_file()]
    if not files or lacking:
        raise GraphError(
            "is one of several files of weights, and missing" if lacking else "names no weights",
            file=lacking[0] if lacking else index,
            remedy="Fetch the whole pipeline, its weights too.",
        )
    return files


def _values(file: Path) -> int:
    """Return how many values a file of weights holds, having looked at its header and its small tensors."""
    from safetensors import SafetensorError, safe_open

    many = 0
    try:
        with safe_open(str(file), "numpy") as held:
            for name in held.keys():  # noqa: SIM118 (no mapping)
                part = held.get_slice(name)
                count = int(np.prod(part.get_shape(), dtype=np.int64))
                many += count
                # A run that came apart spoils biases and norms as well; the rest is looked at when it is loaded.
                if count <= SMALL and part.get_dtype() in ("F64", "F32", "F16"):
                    storing.finite({name: held.get_tensor(name)}, file)
    except (SafetensorError, OSError, ValueError) as error:
        raise storing.broken(file, error) from None
    return many


def _fits(sizes: Sizes, index: Mapping[str, Any], files: list[Path], path: Path, kind: str) -> int:
    """Refuse nets that cannot work with each other, with R, G, B, or with their own weights; return the highest level
    of noise that they take."""
    unet, decoder = sizes.unet, sizes.decoder
    try:
        many, made = int(unet["in_channels"]), int(unet["out_channels"])
        first = int(unet["block_out_channels"][0])
        latent, colours = int(decoder["latent_channels"]), int(decoder["out_channels"])
        levels = int(index.get("max_noise_level") or 350)
        levels = min(levels, int(unet.get("num_class_embeds") or levels + 1) - 1)
        # What memory they take is asked of them later; here it shows whether all that tells it is there.
        needed(sizes, sizes.trained)
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise GraphError(
            f"its configuration is not whole ({type(error).__name__}: {error})", file=path, remedy="Fetch it again."
        ) from None
    # What comes out may say its uncertainty as well: the latter pipeline takes half of what goes in as latent.
    if many != latent + 3 or made < latent or colours != 3 or (kind == LATENT and latent != 3):
        raise GraphError(
            f"its U-Net takes {many} channels and gives {made}, its decoder takes {latent} and gives {colours}: "
            "that does not make R, G, B of R, G, B",
            file=path,
            remedy="Use a pipeline for super-resolution of colour pictures.",
        )
    for file in files:
        shape = _shape(file, "conv_in.weight")
        if shape is not None and shape[:2] != (first, many):
            raise GraphError(
                f"its first layer makes {shape[0]} channels of {shape[1]}, its configuration says {first} of {many}",
                file=file,
                remedy="Fetch weights and configuration together.",
            )
    return levels if kind == UPSCALE else 0


def _shape(file: Path, name: str) -> tuple[int, ...] | None:
    if _pickle(file):
        return None
    from safetensors import safe_open

    with safe_open(str(file), "numpy") as held:
        return tuple(held.get_slice(name).get_shape()) if name in held.keys() else None  # noqa: SIM118


def _digest(path: Path, parts: Mapping[str, Any], weights: list[Path]) -> str:
    """Hash everything small whole, and of each file of weights its size, its header and samples all through it."""
    found = hashlib.sha256()
    for file in _small(path, parts, set(weights)):
        found.update(f"{file.relative_to(path)}\0".encode() + file.read_bytes())
    for file in weights:
        size = file.stat().st_size
        found.update(f"{file.relative_to(path)}\0{size}\0".encode())
        with file.open("rb") as held:
            for k in range(_SAMPLES):
                held.seek(max(0, size - SMALL) * k // (_SAMPLES - 1))
                found.update(held.read(SMALL))
    return found.hexdigest()


def _small(path: Path, parts: Mapping[str, Any], weights: set[Path]) -> Iterator[Path]:
    yield path / INDEX
    for name in sorted(parts):
        for file in sorted((path / name).iterdir()):
            if file.suffix in (".json", ".txt") and file.is_file() and file not in weights:
                yield file
