"""Two-tower models that `quartet models` proposes. Any other that can be read works, too.

A figure is there only where its makers, or a paper, have published it; each says where.
"""

from __future__ import annotations

from dataclasses import dataclass

_PE = "github.com/facebookresearch/perception_models"
_VIDEOPRISM = "github.com/google-deepmind/videoprism"


@dataclass(frozen=True)
class KnownModel:
    """What is known of a model before it is fetched.

    name        to give to `quartet prepare` and `--model`
    parameters  of all towers, in millions; None: not published
    dim         of its vectors
    frames      that it sees at a time: 1 for a model of pictures
    library     that reads it
    licence     of its weights, as published
    recall      R@1 of text to video on MSR-VTT without training, in percent; None: not published
    source      of that figure
    languages   what it was trained to read
    """

    name: str
    parameters: int | None
    dim: int
    frames: int
    library: str
    licence: str
    recall: float | None = None
    source: str = ""
    languages: str = "English"


KNOWN_MODELS = (
    KnownModel("clip-ViT-B-32", 151, 512, 1, "transformers", "MIT", 31.2, "arXiv:2102.12443"),
    KnownModel("clip-ViT-B-32-multilingual-v1", 286, 512, 1, "transformers", "Apache-2.0", languages="50 and more"),
    KnownModel("clip-ViT-B-16", 150, 512, 1, "transformers", "MIT"),
    KnownModel("clip-ViT-L-14", 428, 768, 1, "transformers", "MIT"),
    KnownModel("timm/PE-Core-T-16-384", None, 512, 1, "open_clip", "Apache-2.0", 28.8, _PE),
    KnownModel("timm/PE-Core-S-16-384", None, 512, 1, "open_clip", "Apache-2.0", 39.3, _PE),
    KnownModel("timm/PE-Core-B-16", 400, 1024, 1, "open_clip", "Apache-2.0", 47.6, _PE),
    KnownModel("timm/PE-Core-L-14-336", 630, 1024, 1, "open_clip", "Apache-2.0", 50.3, _PE),
    KnownModel("timm/PE-Core-bigG-14-448", 2350, 1280, 1, "open_clip", "Apache-2.0", 51.2, _PE),
    KnownModel("google/videoprism-lvt-base-f16r288", 248, 768, 16, "transformers", "Apache-2.0", 50.1, _VIDEOPRISM),
    KnownModel("google/videoprism-lvt-large-f8r288", 580, 1024, 8, "transformers", "Apache-2.0", 50.1, _VIDEOPRISM),
    KnownModel("google/siglip2-base-patch16-224", 375, 768, 1, "transformers", "Apache-2.0", languages="many"),
)
