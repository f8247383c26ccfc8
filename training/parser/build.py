"""Train the English pipeline that ships with the project, measure it and install it.

    python training/parser/build.py TREEBANK [--work runs/parser] [--output model/bundled/parser] [--seed 0]

TREEBANK holds train, dev and test `.conllu.gz` of UD English EWT and its LICENSE.txt. The lemmatizer, which takes
seconds, is made again without training by `--trained runs/parser/trained/model-best`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import spacy
from lemma_lexicon import lemma_lexicon
from measure import treebank_scores
from prepare import prepare
from treebank import read_sentences

from model.language.lexicon_lemmatizer import LexiconLemmatizer

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
META = {
    "name": "quartet_captions",
    "version": "0.2.0",
    "description": "Tagger, morphologizer, lemmatizer and dependency parser for English captions.",
    "license": "CC BY-SA 4.0",
    "spacy_version": ">=3.8,<4.0",
    "sources": [
        {
            "name": "Universal Dependencies English EWT",
            "url": "https://github.com/UniversalDependencies/UD_English-EWT",
            "author": "Natalia Silveira, Timothy Dozat, Marie-Catherine de Marneffe, Samuel Bowman and others",
            "license": "CC BY-SA 4.0",
        },
        {
            "name": "all-MiniLM-L6-v2 (word vectors)",
            "url": "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
            "author": "Nils Reimers and others",
            "license": "Apache-2.0",
        },
    ],
}


def train(data: Path, output: Path, seed: int) -> Path:
    """Run `spacy train` on one core; returns the folder of the best pipeline."""
    options = {
        "--output": output,
        "--code": HERE / "openblas.py",
        "--paths.train": data / "train.spacy",
        "--paths.dev": data / "dev.spacy",
        "--paths.base": data / "base",
        "--system.seed": seed,
    }
    command = [sys.executable, "-m", "spacy", "train", str(HERE / "config.cfg")]
    command += [str(part) for option in options.items() for part in option]
    one_core = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env={**os.environ, **one_core})
    return output / "model-best"


def assemble(trained: Path, treebank: Path, output: Path) -> None:
    """Write the trained pipeline to `output` with its lemmatizer, which needs the tags and no training."""
    nlp = spacy.load(trained)
    lemmatizer = nlp.add_pipe("lexicon_lemmatizer")
    assert isinstance(lemmatizer, LexiconLemmatizer)
    lemmatizer.lexicon = lemma_lexicon(read_sentences(treebank / "train.conllu.gz"), nlp.vocab.has_vector)
    nlp.config["paths"] = dict.fromkeys(nlp.config["paths"])  # they name files of the training machine
    nlp.meta.update(META)
    nlp.to_disk(output)


def install(pipeline: Path, figures: dict[str, float], license_file: Path, output: Path) -> None:
    """Copy the pipeline with its figures, attribution and licence to `output`, replacing what is there."""
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(pipeline, output)
    meta = json.loads((output / "meta.json").read_text(encoding="utf-8"))
    meta["performance"] = figures
    (output / "meta.json").write_text(json.dumps(meta, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.copy(HERE / "ATTRIBUTION.md", output / "ATTRIBUTION.md")
    shutil.copyfile(license_file, output / "LICENSE.txt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("treebank", type=Path)
    parser.add_argument("--work", type=Path, default=REPOSITORY / "runs" / "parser")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "model" / "bundled" / "parser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trained", type=Path, help="a pipeline that `spacy train` made before: skip training")
    arguments = parser.parse_args()
    prepare(arguments.treebank, arguments.work / "data", arguments.seed)
    best = arguments.trained or train(arguments.work / "data", arguments.work / "trained", arguments.seed)
    pipeline = arguments.work / "pipeline"
    assemble(best, arguments.treebank, pipeline)
    figures = treebank_scores(pipeline, arguments.work / "data" / "test.spacy")
    install(pipeline, figures, arguments.treebank / "LICENSE.txt", arguments.output)
    print(figures)


if __name__ == "__main__":
    main()
