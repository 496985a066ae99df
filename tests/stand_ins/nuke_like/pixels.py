"""Pictures of the stand-in: EXRs read and written bit for bit, and a wrong result where an adapter forgets `raw`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO


@dataclass
class Picture:
    """One frame."""

    spec: Any
    data: np.ndarray
    """float32, (H, W, C)."""


def picture(node: Any, frame: int) -> Picture:
    """Return what a node makes at a frame."""
    kind = node._kind
    if kind == "Read":
        return _read(node, frame)
    if kind == "Group":
        if node._knobs["disable"]._value:
            return picture(node._inputs[0], frame)
        out = next(one for one in node._children if one._kind == "Output")
        return picture(out._inputs[0], frame)
    if kind == "Input":
        group = node._parent
        number = node._knobs["number"]._value
        if number >= len(group._inputs) or group._inputs[number] is None:
            raise RuntimeError(f"{node._do_fullName()}: not connected")
        return picture(group._inputs[number], frame)
    if kind == "Switch":
        shown = node._parent._knobs["safelight_show"]
        return picture(node._inputs[shown._items.index(shown._value)], frame)
    if not node._inputs or node._inputs[0] is None:
        raise RuntimeError(f"{node._do_fullName()}: not connected")
    made = picture(node._inputs[0], frame)
    if kind == "Grade" and not node._knobs["disable"]._value:
        return Picture(made.spec, made.data * np.float32(node._knobs["white"]._value))
    return made


def _read(node: Any, frame: int) -> Picture:
    first, last = node._knobs["first"]._value, node._knobs["last"]._value
    file = node._knobs["file"]._do_getEvaluatedValue()
    if not file:
        raise RuntimeError(f"{node._do_fullName()}: no file is named")
    if not first <= frame <= last:
        assert node._knobs["before"]._value == node._knobs["after"]._value == "black", "frames outside would be held"
    path = file % frame if "%" in file else file
    for call in node._host.filters:
        path = call(path)
    source = OpenImageIO.ImageInput.open(path)
    if source is None:
        OpenImageIO.geterror()
        raise RuntimeError(f"{node._do_fullName()}: {path}: no such file")
    spec = source.spec()
    data = np.asarray(source.read_image("float"), np.float32).reshape(spec.height, spec.width, spec.nchannels)
    source.close()
    if not node._knobs["raw"]._value and node._knobs["colorspace"]._value not in ("scene_linear", "ACEScg"):
        data = data * np.float32(0.5)  # some conversion: whoever wants raw pixels must say so
    return Picture(spec, data)


def write(node: Any, frame: int) -> None:
    """Write a frame as a Write node says."""
    knobs = {name: knob._value for name, knob in node._knobs.items()}
    assert knobs["file_type"] == "exr", "the stand-in writes EXR"
    knobs.update({name: node._do_knob(name)._value for name in ("datatype", "metadata")})
    made = picture(node._inputs[0], frame)
    spec = OpenImageIO.ImageSpec(made.spec)
    kind = {"32 bit float": "float", "16 bit half": "half"}[knobs["datatype"]]
    spec.set_format(kind)
    spec.channelformats = ()
    data = made.data
    if not knobs["raw"]:
        data = data * np.float32(2)
    if knobs["channels"] != "all":
        data, spec.nchannels = data[..., :3], 3
        spec.channelnames = spec.channelnames[:3]
    if knobs["metadata"] != "all metadata":
        for name in [attribute.name for attribute in spec.extra_attribs]:
            spec.erase_attribute(name)
    spec.attribute("compression", "zips")
    path = knobs["file"] % frame
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    out = OpenImageIO.ImageOutput.create(path)
    if out is None or not out.open(path, spec):
        raise RuntimeError(f"{node._do_fullName()}: cannot write {path}: {OpenImageIO.geterror()}")
    out.write_image(np.ascontiguousarray(data))
    out.close()
