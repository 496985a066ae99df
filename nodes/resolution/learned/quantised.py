"""Our own nets in 8 bits, through ONNX Runtime: for previews and proxies, never for a master.

Each layer's weights, but for the first's, are whole numbers of steps of 1/127 of the largest of each output plane, its
inputs of 1/255 of the largest value seen while training (`Stored.ranges`), what comes out of 1/1020 of white. Smooth
ramps band.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned.storing import Stored

OPSET = 18
MOST = 0.5
"""What a net may add or take, coded, at most."""
PARTS = 4
"""The range of what it adds is cut into so many, each told in 8 bits by outputs of its own, and summed: what lies under
a part leaves it at 0, what lies over it at 255. Kernels for 4 outputs take as long as for 16."""


class Session:
    """A net in 8 bits, one thread for a call; calls may come from several threads."""

    def __init__(self, stored: Stored) -> None:
        if len(stored.ranges) != stored.shape.layers:
            raise GraphError(
                "these weights say no ranges for int8", remedy="Use float32 or bfloat16, or train them again."
            )
        self._held = session(model(stored, quantised=True))
        self._lock = threading.Lock()

    def added(self, code: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return what the net adds to coded planes: (planes, H, W) → (planes, scale (H - 2 n), scale (W - 2 n))."""
        (made,) = self._held.run(None, {"x": np.ascontiguousarray(code[None], np.float32)})
        return np.asarray(made[0], np.float32)


def session(graph: bytes) -> Any:
    """Return a model ready to run, on one thread."""
    try:
        import onnxruntime
    except ImportError:
        raise GraphError("int8 needs ONNX Runtime", remedy="pip install 'safelight[learned]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Threads that spin while they wait make a busy machine twenty times slower.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def model(stored: Stored, *, quantised: bool) -> bytes:
    """Return the net as an ONNX model of an input `x` (1, planes, H, W): in 8 bits between quantise and dequantise
    nodes, or as it is.

    Source: ONNX operators QuantizeLinear and DequantizeLinear; ONNX Runtime, Quantize ONNX Models (QDQ format).
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise GraphError("int8 needs onnx", remedy="pip install 'safelight[learned]'") from None
    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(name: str, value: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def stepped(name: str, step: float | np.float32, k: int) -> str:
        """Put whole numbers of steps, 0 to 255, in place of what ReLU lets through."""
        way = [constant(f"{k}.step", np.float32(step)), constant(f"{k}.zero", np.uint8(0))]
        return node("DequantizeLinear", [node("QuantizeLinear", [name, *way], f"{k}.whole"), *way], f"{k}.in")

    name, last = "x", stored.shape.layers - 1
    for k in range(last + 1):
        kernel, bias = stored.arrays[f"{k}.weight"], stored.arrays[f"{k}.bias"]
        # The first layer sees light and has next to nothing to do: it stays as it is.
        if quantised and k:
            step = np.float32(max(stored.ranges[k], 1e-6) / 255)
            name = stepped(name, step, k)
            if k == last:
                kernel, bias = np.concatenate([kernel] * PARTS), np.concatenate([bias] * PARTS)
            steps = np.maximum(np.abs(kernel).max((1, 2, 3)), 1e-8).astype(np.float32) / np.float32(127)
            whole = np.rint(kernel / steps[:, None, None, None]).astype(np.int8)
            parts = [
                constant(f"{k}.w", whole),
                constant(f"{k}.ws", steps),
                constant(f"{k}.wz", np.zeros(len(steps), np.int8)),
            ]
            weight = node("DequantizeLinear", parts, f"{k}.kernel", axis=0)
            both = steps * step
            if k == last:
                bias = bias + np.repeat(MOST - np.arange(PARTS) * 2 * MOST / PARTS, len(bias) // PARTS)
            shift = np.rint(bias / both).clip(-(2**31), 2**31 - 1).astype(np.int32)
            parts = [
                constant(f"{k}.b", shift),
                constant(f"{k}.bs", both),
                constant(f"{k}.bz", np.zeros(len(both), np.int32)),
            ]
            offset = node("DequantizeLinear", parts, f"{k}.offset", axis=0)
        else:
            weight, offset = constant(f"{k}.kernel", kernel), constant(f"{k}.offset", bias)
        name = node("Conv", [name, weight, offset], f"{k}.sum", kernel_shape=[3, 3])
        if k < last:
            name = node("Relu", [name], f"{k}.out")
    if quantised:
        name = stepped(name, 2 * MOST / PARTS / 255, last + 1)
        parts = [f"part{i}" for i in range(PARTS)]
        nodes.append(helper.make_node("Split", [name], parts, axis=1, num_outputs=PARTS))
        name = node("Sub", [node("Sum", parts, "parts"), constant("most", np.float32(MOST))], "more")
    node("DepthToSpace", [name], "y", blocksize=stored.shape.scale, mode="CRD")
    ends = [
        helper.make_tensor_value_info(end, TensorProto.FLOAT, [1, stored.shape.planes, f"{end}h", f"{end}w"])
        for end in "xy"
    ]
    graph = helper.make_graph(nodes, "plain", ends[:1], ends[1:], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    return bytes(made.SerializeToString())
