"""Train the English pipeline that ships with the project, measure it and install it.

    python training/parser/build.py TREEBANK [--work runs/parser] [--output model/bundled/parser] [--seed 0]

TREEBANK holds train, dev and test `.conllu.gz` of UD English EWT and its LICENSE.txt.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import spacy
from measure import treebank_scores
from prepare import prepare

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
META = {
    "name": "quartet_captions",
    "version": "0.1.0",
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
        "--paths.vectors": data / "vectors",
        "--system.seed": seed,
    }
    command = [sys.executable, "-m", "spacy", "train", str(HERE / "config.cfg")]
    command += [str(part) for option in options.items() for part in option]
    one_core = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env={**os.environ, **one_core})
    return output / "model-best"


def install(pipeline: Path, figures: dict[str, Any], license_file: Path, output: Path) -> None:
    """Write the pipeline with its figures, attribution and licence to `output`, replacing what is there."""
    nlp = spacy.load(pipeline)
    nlp.config["paths"] = dict.fromkeys(nlp.config["paths"])  # they name files of the training machine
    nlp.meta.update(META)
    nlp.meta["performance"] = figures
    shutil.rmtree(output, ignore_errors=True)
    nlp.to_disk(output)
    shutil.copy(HERE / "ATTRIBUTION.md", output / "ATTRIBUTION.md")
    shutil.copyfile(license_file, output / "LICENSE.txt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("treebank", type=Path)
    parser.add_argument("--work", type=Path, default=REPOSITORY / "runs" / "parser")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "model" / "bundled" / "parser")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    prepare(arguments.treebank, arguments.work / "data", arguments.seed)
    best = train(arguments.work / "data", arguments.work / "pipeline", arguments.seed)
    figures = treebank_scores(best, arguments.work / "data" / "test.spacy")
    install(best, figures, arguments.treebank / "LICENSE.txt", arguments.output)
    print(figures)


if __name__ == "__main__":
    main()
