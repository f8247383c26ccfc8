"""Two-tower models in the layout of transformers: every class with `get_text_features` and one of
`get_image_features`, `get_video_features`, and those of `_OTHER_METHODS`.

CLIP, MetaCLIP 2, AltCLIP, Chinese-CLIP, SigLIP, SigLIP 2, TIPSv2, AIMv2, ALIGN, BLIP, FLAVA, GroupViT, OWL-ViT,
CLIPSeg, a dual encoder of any two networks; of videos VideoPrism, X-CLIP and PE-Video. `_FAMILIES` holds in what a
family differs from CLIP. Nothing here reaches for the internet, and nothing of the folder is run (`safe_loading.py`).
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.two_tower.loaded_network import centre_of
from model.two_tower.safe_loading import SAFELY
from quartet.errors import ModelError


def _as_given(text: str) -> str:
    return text


def _without_punctuation(text: str) -> str:
    """ "Hello, World!" -> "hello world." as VideoPrism's own code (utils.py) writes texts."""
    spaced = text.translate(str.maketrans(string.punctuation, " " * len(string.punctuation)))
    return " ".join(spaced.lower().split()) + "."


@dataclass(frozen=True)
class _Family:
    """How the texts of a family were prepared in training, as far as its folders do not say it.

    pads_fully  filled up to the longest length
    longest     tokens, where its processor has a limit of its own
    written     how, where its tokenizer leaves that to others
    attention   the implementation of transformers that is right, where its usual one is not
    """

    pads_fully: bool = False
    longest: int | None = None
    written: Callable[[str], str] = _as_given
    attention: str | None = None


_FAMILIES = {
    # The usual one leaves the causal mask out for a batch without padding: a text's vector would depend on its company.
    "aimv2": _Family(attention="eager"),
    "align": _Family(pads_fully=True, longest=64),
    "owlv2": _Family(pads_fully=True),
    "owlvit": _Family(pads_fully=True),
    "siglip": _Family(pads_fully=True, written=str.lower),  # SigLIP 2 of fixed resolution is of this type, too
    "siglip2": _Family(pads_fully=True, longest=64, written=str.lower),
    "tipsv2": _Family(pads_fully=True, longest=64),
    "videoprism": _Family(pads_fully=True, longest=64, written=_without_punctuation),
}
"""By model_type. tests/model/two_tower/test_every_class.py compares each with the processor of transformers."""

_OTHER_METHODS = ("PeVideoModel", "BlipForImageTextRetrieval")
"""Classes of two towers that have other methods than `get_text_features` and `get_image_features`."""

_FIRST_POSITION = ("roberta", "xlm-roberta", "camembert", "altclip_text_model", "xlm-roberta-xl", "xmod")
"""Types of text towers that count positions from after the padding token's number."""

_VIDEO_FRAMES = 16
"""Frames of a clip for a model of videos that does not say how many (PE-Video)."""

_TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class TransformersNetwork:
    """See the module, and `LoadedNetwork`. Raises ModelError for a folder that cannot be used."""

    version = f"transformers {version('transformers')}"
    of_tensors = True

    def __init__(self, place: Path) -> None:
        self.net = _load_network(place)
        self.class_name = type(self.net).__name__
        self.tokenizer = _load_part(place, "AutoTokenizer")
        config = self.net.config
        self._family = _FAMILIES.get(config.model_type, _Family())
        self._is_video = hasattr(self.net, "get_video_features") or self.class_name == "PeVideoModel"
        self._takes_pictures = self.class_name == "XCLIPModel" or not self._is_video
        self._images = _load_part(place, "AutoImageProcessor" if self._takes_pictures else "AutoVideoProcessor")
        self.clip_frames = self._frames_of_a_clip() if self._is_video else None
        self.pads_fully = self._family.pads_fully
        self.padding_id = int(self.tokenizer.pad_token_id or 0)
        self.max_tokens = self._longest_text(config.get_text_config())
        _check_tokenizer(place, self.tokenizer, config.text_config.vocab_size)
        reading = ("text_model", "text_projection", "text_encoder", "text_proj", "text_video_head")
        self.text_modules = tuple(name for name, _ in self.net.named_children() if name in reading)
        self.centre = self._centre()

    def _frames_of_a_clip(self) -> int:
        config = getattr(self.net.config, "vision_config", None) or self.net.config.video_config
        frames = getattr(config, "num_frames", None) or getattr(self._images, "num_frames", None)
        return int(frames or _VIDEO_FRAMES)

    def _longest_text(self, text_config: Any) -> int:
        positions = int(getattr(text_config, "max_position_embeddings", 512))
        if text_config.model_type in _FIRST_POSITION:
            positions -= int(text_config.pad_token_id or 0) + 1
        return min(positions, int(self.tokenizer.model_max_length), self._family.longest or positions)

    def _centre(self) -> float:
        learned = {
            name: float(value.detach())
            for name, value in self.net.named_parameters(recurse=False)
            if value.numel() == 1  # their scales and temperatures
        }
        if "temperature" in learned:
            return centre_of(1 / learned["temperature"])
        if "text_video_logit_scale" in learned:
            return centre_of(learned["text_video_logit_scale"], learned["text_video_logit_bias"])
        scale = learned.get("logit_scale")
        return centre_of(None if scale is None else math.exp(scale), learned.get("logit_bias"))

    def prepare(self, images: Tensor) -> dict[str, Tensor]:
        if self._takes_pictures:
            inputs = self._images(
                list(images), input_data_format="channels_first", return_tensors="pt", device=images.device
            )
            # X-CLIP's published processor takes them for one video.
            return {n: v[0] if v.ndim == 5 else v for n, v in inputs.items() if isinstance(v, Tensor)}
        inputs = self._images(videos=[images], do_sample_frames=False, return_tensors="pt", device=images.device)
        return {"pixel_values_videos": inputs["pixel_values_videos"][0]}

    def see(self, inputs: Mapping[str, Tensor]) -> Tensor:
        net = self.net
        if self.class_name == "PeVideoModel":
            return net.video_head(net.video_encoder(**inputs).pooler_output)
        if self.class_name == "BlipForImageTextRetrieval":
            return net.vision_proj(net.vision_model(**inputs).last_hidden_state[:, 0])
        features = net.get_video_features if self._is_video else net.get_image_features
        return _pooled(features(**inputs).pooler_output)

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        encoded = self.encoded(texts, return_tensors="pt")
        # What BLIP, Flava ... are given beyond it (positions of padding) they do not read.
        return {name: value for name, value in encoded.items() if name in self._text_inputs()}

    def encoded(self, texts: Sequence[str], **options: Any) -> Any:
        """What the tokenizer makes of texts as this family reads them; `options` are the tokenizer's."""
        return self.tokenizer(
            [self._family.written(text) for text in texts],
            padding="max_length" if self.pads_fully else True,
            truncation=True,
            max_length=self.max_tokens,
            **options,
        )

    def _text_inputs(self) -> tuple[str, ...]:
        return _TEXT_INPUTS[:2] if self.net.config.model_type.startswith("blip") else _TEXT_INPUTS

    def read(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        net = self.net
        if self.class_name == "PeVideoModel":
            states = net.text_model(**tokens, output_hidden_states=True).hidden_states[-1]
            return net.text_video_head(states[:, 0]), states
        if self.class_name == "BlipForImageTextRetrieval":
            states = net.text_encoder(**tokens).last_hidden_state
            return net.text_proj(states[:, 0]), states
        output = net.get_text_features(**tokens)
        # VideoPrism adds a state for the whole text behind those of the tokens.
        return _pooled(output.pooler_output), output.last_hidden_state[:, : tokens["input_ids"].shape[1]]

    def project(self, states: Tensor) -> Tensor | None:
        names = ("text_projection", "text_proj", "text_video_head")
        projection = next((getattr(self.net, name) for name in names if hasattr(self.net, name)), None)
        if projection is None:
            # SigLIP's is the last layer of its text tower, behind the state that it pools.
            projection = getattr(getattr(self.net, "text_model", None), "head", None)
        return states if projection is None else projection(states)


def _pooled(output: Tensor) -> Tensor:
    """(N, d); of (N, L, d), which Flava gives, the first: the one that it was trained to compare."""
    return output if output.ndim == 2 else output[:, 0]


def _load_network(place: Path) -> Any:
    """The network, in evaluation. Raises ModelError where it is not there, is damaged, or has not two towers."""
    cls = class_of(place)
    name = cls.__name__
    with _quiet():
        try:
            config = cls.config_class.from_pretrained(place, **SAFELY)
            family = _FAMILIES.get(config.model_type, _Family())
            options = {} if family.attention is None else {"attn_implementation": family.attention}
            net, report = cls.from_pretrained(
                place, config=config, output_loading_info=True, dtype=torch.float32, **options, **SAFELY
            )
        # transformers raises nearly anything for a folder that it cannot read: OSError, ValueError, KeyError ...
        except Exception as error:
            raise ModelError(f"The two-tower model in {place} cannot be loaded: {_reason(error)}") from error
    if missing := sorted(report["missing_keys"]):
        saved = (config.architectures or [name])[0]
        raise ModelError(
            f"The weights in {place}, saved as {saved}, lack {len(missing)} entries of {name}, the first is "
            f"{missing[0]!r}."
        )
    if hasattr(net, "language_model"):
        raise ModelError(
            f"{place} contains a {name}. Its text output is the state of a language model, not a vector to "
            "compare with pictures."
        )
    return net.eval()


def class_of(place: Path) -> Any:
    """The class of transformers for a folder, before weights are read. Raises ModelError where it cannot be used."""
    import transformers

    with _quiet():
        try:
            config = transformers.AutoConfig.from_pretrained(place, **SAFELY)
            named = next((name for name in config.architectures or () if name in _OTHER_METHODS), None)
            if named is not None:
                return getattr(transformers, named)
            found = transformers.MODEL_MAPPING[type(config)]
        except Exception as error:
            raise ModelError(f"The two-tower model in {place} cannot be loaded: {_reason(error)}") from error
    cls: Any = found[0] if isinstance(found, tuple) else found
    if not hasattr(cls, "get_text_features"):
        raise ModelError(f"{place} contains a {cls.__name__}, which has no tower for texts (get_text_features).")
    if not hasattr(cls, "get_image_features") and not hasattr(cls, "get_video_features"):
        raise ModelError(f"{place} contains a {cls.__name__}, which has no tower for pictures or videos.")
    return cls


def _load_part(place: Path, name: str) -> Any:
    """A tokenizer or a processor of pictures or videos. Raises ModelError where it is missing or damaged."""
    import transformers

    with _quiet():
        try:
            return getattr(transformers, name).from_pretrained(place, **SAFELY)
        except Exception as error:
            raise ModelError(
                f"The {_PARTS[name]} of the model in {place} cannot be loaded: {_reason(error)}"
            ) from error


_PARTS = {
    "AutoTokenizer": "tokenizer",
    "AutoImageProcessor": "image processor",
    "AutoVideoProcessor": "video processor",
}


_SILENT = 50
"""The level of Python's logging above which only what ends a program is said."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bars and its table of missing weights, which would disturb tables and JSON."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    level = logging.get_verbosity()
    logging.set_verbosity(_SILENT)
    try:
        with redirect_stdout(StringIO()):  # the class of PE-Video prints notes for its developers
            yield
    finally:
        logging.set_verbosity(level)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    if "trust_remote_code" in str(error) or "custom code" in str(error):
        return "it needs its own code, which Quartet never runs. Models whose class is part of transformers work."
    if "ignore_mismatched_sizes" in str(error):
        return "the sizes of its weights differ from its config.json."
    return lines[0] if lines else type(error).__name__


def _check_tokenizer(place: Path, tokenizer: Any, vocab_size: int) -> None:
    """Without its files, transformers makes a tokenizer to which all texts are the same."""
    one, other = (tokenizer(text)["input_ids"] for text in ("dog", "cat"))
    if one == other:
        raise ModelError(f"The tokenizer in {place} cannot be loaded: it has no vocabulary.")
    if max(*one, *other) >= vocab_size:
        raise ModelError(f"The tokenizer in {place} belongs to another model: it has more words than the weights.")
