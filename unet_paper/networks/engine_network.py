"""A network that another engine runs, in the place of a `UNet`; and how ONNX Runtime and OpenVINO run theirs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from unet_paper.model import UNet
from unet_paper.networks.extras import needed

Run = Callable[[np.ndarray], np.ndarray]


class EngineNetwork(nn.Module):
    """A network that another engine runs; it answers for sizes as the `UNet` that it was made from does.

    Parameters
    ----------
    sizes : UNet
        Of the same channels, classes and depth; its weights are not used.
    run : callable
        (B, C, H, W) float32 to scores (B, K, H - 2 border, W - 2 border), numpy arrays.
    name : str
        Engine and precision, for messages.
    images : ImageSettings or None
        What the network expects of images.
    """

    def __init__(self, sizes: UNet, run: Run, *, name: str, images=None):
        super().__init__()
        self.sizes, self.run, self.name, self.images = sizes, run, name, images
        self.in_channels, self.num_classes, self.depth = sizes.in_channels, sizes.num_classes, sizes.depth
        self.border, self.stride, self.input_margin = sizes.border, sizes.stride, sizes.input_margin
        self.is_legal_size, self.output_size = sizes.is_legal_size, sizes.output_size
        self.legal_size_for = sizes.legal_size_for

    def forward(self, image: Tensor) -> Tensor:
        """Return raw class scores, (B, C, H, W) -> (B, K, H - 2 border, W - 2 border).

        Raises
        ------
        ValueError
            If rank, channels or size do not fit: engines themselves would answer something, or stop the program.
        """
        if image.ndim != 4 or image.shape[1] != self.in_channels:
            raise ValueError(f"input has shape {tuple(image.shape)}; needs (B, {self.in_channels}, H, W)")
        for side in image.shape[2:]:
            self.output_size(side)
        values = np.ascontiguousarray(image.detach().float().cpu().numpy())
        return torch.from_numpy(self.run(values)).to(image.device)


def session_of(content: bytes) -> Run:
    """Return the content of an ONNX file as a function, run by ONNX Runtime on as many threads as PyTorch.

    Raises
    ------
    ValueError
        If the package onnxruntime is not installed.
    Exception
        Whatever ONNX Runtime raises for a file that is no network.
    """
    runtime = needed("onnxruntime", extra="engines", what="the engine onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 4
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda values: session.run(None, {"image": values})[0]


def compiled(model, precision: str = "float32") -> Run:
    """Return an OpenVINO model as a function, on as many threads as PyTorch."""
    openvino = needed("openvino", extra="engines", what="the engine openvino")
    how = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    ready = openvino.Core().compile_model(model, "CPU", how)
    return lambda values: ready(values)[0].copy()
