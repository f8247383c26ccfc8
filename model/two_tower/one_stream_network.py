"""Models that read texts and pictures in one network (Qwen3-VL-Embedding, EmbeddingGemma 2), by sentence-transformers.

Such a model gives one vector of whatever it is given. Texts get the prompt that it calls "query", where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from model.two_tower.loaded_network import CLIP_CENTRE
from quartet.errors import ModelError

_PICTURES = 8
"""Pictures in one pass: each is hundreds of tokens of a large network."""

_MAX_TOKENS = 512
"""Where the model has no limit of its own that matters: queries and captions are shorter."""


class OneStreamNetwork:
    """See the module, and `LoadedNetwork`. Raises ModelError for a model that reads no pictures or cannot be loaded."""

    tokenizer: Any = None
    padding_id = 0
    pads_fully = False
    clip_frames: int | None = None
    centre = CLIP_CENTRE
    text_modules: tuple[str, ...] = ()
    version = ""
    of_tensors = False  # pictures are seen by `prepare`, and texts are read as `tokens` has last found

    def __init__(self, folder: Path) -> None:
        self.net: Any = load_sentence_transformer(folder)
        network = getattr(self.net[0], "model", None) or getattr(self.net[0], "auto_model", self.net[0])
        self.class_name = type(network).__name__
        kinds = [str(kind) for kind in getattr(self.net, "modalities", ["text"])]
        if not {"text", "image"} <= set(kinds):
            raise ModelError(
                f"The model in {folder} ({self.class_name}) reads {', '.join(kinds)}. It must read texts and images. A "
                "model of texts can be joined to the pictures that it was trained for (quartet prepare "
                "MODEL --pictures MODEL), or read captions in training (quartet prepare MODEL --sentences)."
            )
        self._prompt = self.net.prompts.get("query") or None
        self._kind: Any = "text"
        self.net.max_seq_length = self.max_tokens = min(self.net.max_seq_length or _MAX_TOKENS, _MAX_TOKENS)

    def prepare(self, images: Tensor) -> dict[str, Tensor]:
        pictures = [Image.fromarray(picture) for picture in images.permute(0, 2, 3, 1).cpu().numpy()]
        # Input of such a network has no row for each picture, so that its vectors are made here.
        vectors = self.net.encode(pictures, batch_size=_PICTURES, convert_to_tensor=True, show_progress_bar=False)
        return {"vectors": vectors}

    def see(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return inputs["vectors"]

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        features = self.net.preprocess(list(texts), prompt=self._prompt)
        self._kind = features.get("modality", "text")  # "message" for a model with a chat template
        return {name: value for name, value in features.items() if isinstance(value, Tensor)}

    def read(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        output = self.net({**tokens, "modality": self._kind})
        return output["sentence_embedding"], output["token_embeddings"]

    def project(self, states: Tensor) -> Tensor | None:
        """None: the states of its tokens are not in the space of its vectors."""
        return None


def load_sentence_transformer(folder: Path) -> Any:
    """The model in a folder of sentence-transformers, on the CPU. Raises ModelError where it cannot be loaded."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True, trust_remote_code=False).eval()
    except Exception as error:  # as with transformers: nearly anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"The model in {folder} cannot be loaded by sentence-transformers: {reason}") from error
