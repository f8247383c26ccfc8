"""Pictures, as they are searched with: a picture is a clip of one frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexer.media.clip_reader import SampledClip
from indexer.media.decode_limits import Limits
from indexer.media.header import VideoInfo
from indexer.media.segmentation import Span
from quartet.errors import VideoError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""As Pillow names them."""

_SEVERAL_STILLS = ("MPO", "TIFF")
"""Formats whose further pictures are other versions or pages, not motion. Telephones write MPO as .jpg."""


def read_picture(path: Path, limits: Limits) -> SampledClip | None:
    """The picture in a file (of several, the first) turned as its EXIF data say; None if it is not a still.

    Raises VideoError if it is damaged, or larger than `limits` allow.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    # The limit below is the one that counts.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(path, formats=FORMATS) as image:
            if getattr(image, "n_frames", 1) > 1 and image.format not in _SEVERAL_STILLS:
                return None
            if image.width * image.height > limits.pixels:
                size, most = f"{image.width}x{image.height}", f"{limits.pixels / 1e6:.3g} million"
                raise VideoError(path, "over-limit", f"The picture has {size} pixels. The maximum is {most}.")
            upright = ImageOps.exif_transpose(image)
            pixels = np.asarray(_rgb(upright))
    except UnidentifiedImageError:
        return None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise VideoError(path, "unreadable", f"The picture is damaged: {error}.") from error
    height, width = pixels.shape[:2]
    return SampledClip(pixels[None], np.zeros(1), Span(0.0, 0.0), VideoInfo(0.0, 0.0, width, height, 1))


def _rgb(image: Image) -> Image:
    """8 bits of red, green and blue; what is transparent is shown on black."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        # 16 bits, or numbers of which no convention says what white is: then the largest is.
        values = np.asarray(image, np.float64)
        white = 65535.0 if image.mode.startswith("I") else float(values.max(initial=1.0))
        return Image.fromarray((255 * (values / white).clip(0, 1)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        ground = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
