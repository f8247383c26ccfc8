"""Two-tower models in the layout of open_clip: PE-Core, MobileCLIP2, DFN, EVA, SigLIP 2 of timm and more.

open_clip builds the network and prepares pictures (by Pillow, one by one) and texts as it does for itself. The package
open_clip_torch is optional: extra `open-clip`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from model.two_tower.layouts import OPEN_CLIP_CONFIG, read_json
from model.two_tower.loaded_network import centre_of
from quartet.errors import ModelError


class OpenClipNetwork:
    """See the module, and `LoadedNetwork`. Raises ModelError for a folder that cannot be used."""

    clip_frames: int | None = None
    pads_fully = True  # its tokenizers fill up every text
    of_tensors = True

    def __init__(self, folder: Path) -> None:
        text = require_open_clip(folder)

        import open_clip
        from open_clip.transform import PreprocessCfg, image_transform_v2

        # The folder's own settings may ask for its code; those given here count.
        options = {"trust_remote_code": False, "local_files_only": True} if text.get("hf_tokenizer_name") else {}
        try:
            self.net = open_clip.create_model(f"local-dir:{folder}", require_pretrained=True).eval()
            self.tokenizer: Any = None
            self._tokenize = open_clip.get_tokenizer(f"local-dir:{folder}", **options)
            self._transform = image_transform_v2(PreprocessCfg(**self.net.visual.preprocess_cfg), is_train=False)
            _check_tokenizer(folder, self._tokenize, int(text.get("vocab_size", 49408)))
        except ModelError:
            raise
        # open_clip raises nearly anything for a folder that it cannot read.
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"The open_clip model in {folder} cannot be loaded: {reason}") from error
        self.class_name = f"{type(self.net).__name__} of open_clip"
        self.version = f"open_clip {open_clip.__version__}"
        self.text_modules = tuple(n for n, _ in self.net.named_children() if n in ("text", "transformer", "ln_final"))
        self.max_tokens = int(self._tokenize.context_length)
        self.padding_id = 0
        learned = {
            name: float(value.detach())
            for name, value in self.net.named_parameters(recurse=False)
            if value.numel() == 1
        }
        self.centre = centre_of(math.exp(learned["logit_scale"]), learned.get("logit_bias"))

    def prepare(self, images: Tensor) -> dict[str, Tensor]:
        pictures = images.permute(0, 2, 3, 1).cpu().numpy()
        prepared = [self._transform(Image.fromarray(picture)) for picture in pictures]
        return {"image": torch.stack(prepared).to(images.device)}

    def see(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.net.encode_image(inputs["image"])

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        return {"input_ids": self._tokenize(list(texts))}

    def read(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        ids = tokens["input_ids"]
        vectors = self.net.encode_text(ids)
        return vectors, vectors[:, None].expand(-1, ids.shape[1], -1)

    def project(self, states: Tensor) -> Tensor | None:
        """None: open_clip gives a vector of the text and no states of its tokens."""
        return None


def require_open_clip(folder: Path) -> dict[str, Any]:
    """The part of a folder's configuration on texts.

    Raises ModelError where the package is not installed, or the configuration is damaged or names a network of
    elsewhere.
    """
    try:
        import open_clip  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"The model in {folder} needs the package open_clip: {error}. Run: pip install 'quartet-video[open-clip]'"
        ) from error
    config = read_json(folder / OPEN_CLIP_CONFIG)
    model = config.get("model_cfg") if isinstance(config, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("text_cfg"), dict):
        raise ModelError(f"{folder / OPEN_CLIP_CONFIG} is damaged: it has no model_cfg with a text_cfg.")
    if elsewhere := model["text_cfg"].get("hf_model_name"):
        raise ModelError(
            f"The text tower of the model in {folder} is {elsewhere}, whose configuration is in another "
            "repository. Only complete folders can be used."
        )
    return model["text_cfg"]


def _check_tokenizer(folder: Path, tokenize: Any, vocab_size: int) -> None:
    one, other = tokenize(["dog"]), tokenize(["cat"])
    if torch.equal(one, other):
        raise ModelError(f"The tokenizer in {folder} cannot be loaded: it has no vocabulary.")
    if max(int(one.max()), int(other.max())) >= vocab_size:
        raise ModelError(f"The tokenizer in {folder} belongs to another model: it has more words than the weights.")
