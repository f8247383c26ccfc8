"""A model of sentence-transformers as one network of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class SentenceNetwork(nn.Module):
    """Pieces (B, L) and which are real, to vectors (B, d_s) of sentences and (B, L, d_w) of their pieces."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        modules: list[Any] = list(model)
        self.bert: nn.Module = modules[0].auto_model
        self.pooling: list[Any] = modules[1:]

    def forward(self, pieces: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        states = self.bert(input_ids=pieces, attention_mask=real).last_hidden_state
        output = {"input_ids": pieces, "attention_mask": real, "token_embeddings": states}
        for module in self.pooling:
            output = module(output)
        return output["sentence_embedding"], output["token_embeddings"]
