"""A model of texts that was trained to give the vectors of another model's texts, joined to that model's pictures.

clip-ViT-B-32-multilingual-v1 reads texts in many languages like this (Reimers and Gurevych 2020, arXiv:2004.09813): a
sentence-transformers model whose vectors are those that clip-ViT-B-32 gives to the English text.

    FOLDER/pictures/    the two-tower model, in any layout
    FOLDER/texts/       the model of texts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from model.two_tower.loaded_network import LoadedNetwork
from model.two_tower.one_stream_network import load_sentence_transformer


class TextPartner:
    """See the module, and `LoadedNetwork`. Raises ModelError where the model of texts cannot be loaded."""

    tokenizer: Any = None
    pads_fully = False
    text_modules: tuple[str, ...] = ("texts",)

    def __init__(self, pictures: LoadedNetwork, texts: Path) -> None:
        self._pictures, self._texts = pictures, load_sentence_transformer(texts)
        self.net: nn.Module = nn.ModuleDict({"pictures": pictures.net, "texts": self._texts})
        self.class_name = f"{pictures.class_name} with the texts of {type(self._texts[0].auto_model).__name__}"
        self.max_tokens = int(self._texts.max_seq_length)
        self.padding_id = int(self._texts.tokenizer.pad_token_id or 0)
        self.clip_frames, self.centre = pictures.clip_frames, pictures.centre
        self.version = f"{pictures.version}, sentence-transformers {version('sentence-transformers')}"
        self.of_tensors = pictures.of_tensors

    def prepare(self, images: Tensor) -> dict[str, Tensor]:
        return self._pictures.prepare(images)

    def see(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self._pictures.see(inputs)

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        features = self._texts.preprocess(list(texts))
        return {name: value for name, value in features.items() if isinstance(value, Tensor)}

    def read(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        output = self._texts({**tokens, "modality": "text"})
        return output["sentence_embedding"], output["token_embeddings"]

    def project(self, states: Tensor) -> Tensor | None:
        """None: the model was trained to give vectors of whole texts."""
        return None
