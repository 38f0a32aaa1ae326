"""Which engine segments own images, and the images on which 8-bit numbers are calibrated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import nn

from unet_paper.datasets.image_files import describe, grey_frames, middle_frames
from unet_paper.networks.engines import check_engine, fastest, on_engine, training_images
from unet_paper.networks.image_settings import ImageSettings
from unet_paper.options import check_device
from unet_paper.own_images.inputs import with_pixel_size
from unet_paper.own_images.pairs import pictures_in
from unet_paper.own_images.segmenting import Method
from unet_paper.resizing import resize_image, scaled_size

CALIBRATION_IMAGES = 8


def with_engine(
    net: nn.Module,
    known: ImageSettings | None,
    method: Method,
    *,
    engine: str,
    calibration=None,
    channel: int | None = None,
    say: Callable[[str], None] = print,
) -> tuple[nn.Module, Method]:
    """Return the network as an engine runs it, and the method for it.

    Parameters
    ----------
    net : UNet
        The network.
    known : ImageSettings or None
        What it expects of images.
    method : Method
        Its precision is the engine's.
    engine : {"torch", "onnxruntime", "openvino", "auto"}
        As in `unet_paper.networks.on_engine`.
    calibration : path or sequence of path, optional
        Images to calibrate and compare on, as in `segment_files`; by default the training images of a published
        network, where the challenge's data lies on this machine.
    channel : int, optional
        Which channel of those images.
    say : callable
        Gets what was chosen.

    Raises
    ------
    ValueError, FileNotFoundError
        If engine and precision do not fit, there is nothing to calibrate on, or a package is missing.
    """
    check_engine(engine, method.precision)
    if engine == "torch":
        return net, method
    if check_device(method.device).type != "cpu":
        raise ValueError(
            f"engine {engine!r} runs on the CPU, not on {method.device!r}; leave the engine or the device out"
        )
    images = []
    if engine == "auto" or method.precision == "int8":
        images = _images(net, known, method, calibration, channel)
        say(f"calibrated on {len(images)} images, {images[0].shape[-2]} x {images[0].shape[-1]} px")
    if engine == "auto":
        ready = fastest(net, images, say=say)
    else:
        ready = on_engine(net, engine, precision=method.precision, calibration=images)
    return ready, replace(method, precision="float32")


def _images(net: nn.Module, known: ImageSettings | None, method: Method, calibration, channel) -> list[np.ndarray]:
    """Return calibration images in [0, 1] at the network's scale."""
    if calibration is None:
        try:
            return training_images(getattr(net, "card", None))[:CALIBRATION_IMAGES]
        except FileNotFoundError as error:
            raise ValueError(
                "int8 and auto need calibration images, and the network's training images are not on this machine: "
                "--calibration FOLDER, a handful of images like those to segment"
            ) from error
    files = [describe(path) for path in pictures_in(calibration)]
    images = []
    for file, frame in middle_frames(files, CALIBRATION_IMAGES):
        image = method.prepared(next(grey_frames(file, channel=channel, frame=frame)), known, full=file.full)
        (rows, columns), _ = with_pixel_size(method, file).scales(known)
        size = (scaled_size(image.shape, rows)[0], scaled_size(image.shape, columns)[1])
        images.append(image if size == image.shape else resize_image(image[None], size)[0].clip(0, 1))
    return images
