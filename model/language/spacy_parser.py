"""Captions to graphs with a spaCy pipeline: the one that ships with the project, or any installed one."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from model.language.attributes import graph, triplets
from model.language.clauses import CaptionTree
from model.language.dependency_labels import to_universal
from model.language.dependency_tree import Word, repair
from model.language.parsed_caption import ParsedCaption, readable
from quartet.errors import InputError, ModelError

if TYPE_CHECKING:
    from spacy.tokens import Doc

BUNDLED_PIPELINE = Path(__file__).parents[1] / "bundled" / "parser"
BUNDLED_NAME = "en_quartet_captions"
MAX_TEXT_LENGTH = 2_000
"""Characters of a text that are parsed; captions are shorter, and on some texts the tokenizer takes quadratic time."""


class SpacyParser:
    """A `CaptionParser` on a spaCy pipeline with a tagger or morphologizer, a lemmatizer and a parser.

    `pipeline` is a folder or the name of an installed pipeline package; the default is the bundled one.
    `name` says which pipeline it is, its version and a hash of its files: a checkpoint records it, and
    `recorded_parser` finds it again. `language` is the ISO 639 code of what it reads. Use from one thread at a time.
    Raises ModelError for a pipeline that is missing, damaged or incomplete.
    """

    def __init__(self, pipeline: Path | str = BUNDLED_PIPELINE, batch_size: int = 256) -> None:
        spacy = imported_spacy()
        from thinc.api import NumpyOps
        from threadpoolctl import ThreadpoolController

        import model.language.lexicon_lemmatizer  # noqa: F401  makes the bundled pipeline's lemmatizer known to spaCy

        try:
            self._nlp = spacy.load(pipeline)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"The spaCy pipeline {str(pipeline)!r} cannot be loaded: {str(error).rstrip('.')}. "
                "Name the folder of a pipeline or an installed pipeline package."
            ) from error
        if "parser" not in self._nlp.pipe_names:
            raise ModelError(f"The spaCy pipeline {str(pipeline)!r} has no dependency parser.")
        if not self._nlp("a dog runs").has_annotation("POS"):
            raise ModelError(f"The spaCy pipeline {str(pipeline)!r} does not tag parts of speech.")
        # BLIS, thinc's default, takes twice as long on AMD processors as NumPy's own matrix product.
        for _, component in self._nlp.pipeline:
            network = getattr(component, "model", None)  # a lemmatizer by rules has one that is None
            for layer in () if network is None else network.walk():
                if isinstance(layer.ops, NumpyOps):
                    layer.ops = NumpyOps(use_blis=False)
        self._batch_size = batch_size
        self._blas = ThreadpoolController().select(internal_api="openblas")
        meta = self._nlp.meta
        self.language = str(meta["lang"])
        self.name = f"{meta['lang']}_{meta['name']}-{meta['version']}-{_hash_files(self._nlp.path)}"

    def parse(self, texts: list[str]) -> list[ParsedCaption]:
        """One graph per text made `readable`, in order. Any text is accepted; one without words has an empty graph."""
        texts = [readable(text) for text in texts]
        # The products are small: more threads make none of them faster, and when they have nothing to do they spin
        # for a while, on the cores that PyTorch is about to use. On two cores a query took three times as long.
        with self._blas.limit(limits=1):
            docs = self._nlp.pipe((text[:MAX_TEXT_LENGTH] for text in texts), batch_size=self._batch_size)
            return [self._caption(text, doc) for text, doc in zip(texts, docs, strict=True)]

    def _caption(self, text: str, doc: Doc) -> ParsedCaption:
        words = [
            Word(
                token.i,
                token.lower_,
                (token.lemma_ or token.text).lower(),
                token.pos_,
                token.dep_,
                token.head.i,
                {"VerbForm=Part", "Tense=Past"} <= set(str(token.morph).split("|")),
            )
            for token in doc
        ]
        to_universal(words)
        if self.language == "en":
            repair(words, self.is_known)
        kept = [token for token in doc if not (token.is_punct or token.is_space)]
        positions: list[int | None] = [None] * len(doc)
        for position, token in enumerate(kept):
            positions[token.i] = position
        tree = CaptionTree(words, adjectives_follow=self.language != "en")
        nodes, edges = graph(tree, positions)
        return ParsedCaption(
            text=text,
            words=tuple(token.text for token in kept),
            spans=tuple((token.idx, token.idx + len(token)) for token in kept),
            nodes=tuple(nodes),
            edges=tuple(edges),
            triplets=tuple(triplets(tree)),
        )

    def is_known(self, word: str) -> bool:
        """Whether a lower-case string is a word that the pipeline has met."""
        vocab = self._nlp.vocab
        return vocab.has_vector(word) if len(vocab.vectors) else word in vocab.strings


_PREPARED: list[SpacyParser] = []
"""What `prepare_parser` has loaded: `load_parser` gives it away, since one thread at a time may use it."""


def prepare_parser() -> None:
    """Load the bundled parser for the first that asks `load_parser` for it: in a fork server, once for all children.

    Raises ModelError as `SpacyParser` does.
    """
    _PREPARED[:] = [SpacyParser()]


def load_parser(package: str | None = None) -> SpacyParser:
    """The parser to train with: the bundled one, or the pipeline of an installed package ("en_core_web_sm").

    A folder is not taken, because the checkpoint could not find it again on another machine.
    Raises InputError if no such package is installed, ModelError if its pipeline cannot be used.
    """
    if package is None or package == BUNDLED_NAME:
        return _PREPARED.pop() if _PREPARED else SpacyParser()
    from spacy.util import is_package

    if not is_package(package):
        raise InputError(
            f"The spaCy pipeline {package!r} is not installed. Install one (`python -m spacy download "
            "en_core_web_sm`, or `python -m spacy package` and pip for a folder of your own) and give the "
            "name of its package."
        )
    return SpacyParser(package)


def load_parsers(pipelines: Mapping[str, str]) -> dict[str, SpacyParser]:
    """Parsers of languages other than English, by ISO 639 code, from the package or the folder of each pipeline.

    Raises ModelError for one that is not there, lacks a part or reads another language.
    """
    found = {}
    for language, pipeline in pipelines.items():
        parser = SpacyParser(pipeline)
        if parser.language != language:
            raise ModelError(
                f"The spaCy pipeline {pipeline!r} reads {parser.language!r}, not {language!r}. Give it as "
                f"{parser.language}={pipeline}."
            )
        found[language] = parser
    return found


def imported_spacy() -> ModuleType:
    """spaCy, without its command line, and without PyTorch unless that is imported already.

    thinc, which spaCy stands on, imports PyTorch wherever it is installed, which takes seconds and 0.3 GB. Only
    pipelines with transformers use it, and these need one of two packages. The command line is a third of what spaCy
    imports, for one function that prints versions.
    """
    wanted = any(find_spec(name) for name in ("spacy_transformers", "spacy_curated_transformers"))
    if not wanted and sys.modules.keys().isdisjoint({"torch", "thinc"}):
        with _hidden({"torch": None}):
            import_module("thinc.compat")
    if "spacy" in sys.modules or "spacy.cli" in sys.modules:
        return import_module("spacy")
    printing = ModuleType("spacy.cli.info")
    printing.info = None  # type: ignore[attr-defined]
    try:
        with _hidden({"spacy.cli": ModuleType("spacy.cli"), "spacy.cli.info": printing}):
            return import_module("spacy")
    except ImportError:  # a spaCy that asks more of its command line
        return import_module("spacy")


@contextmanager
def _hidden(modules: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """Others in the place of `modules`, or none, for what is imported meanwhile."""
    sys.modules.update(modules)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


def recorded_parser(name: str, checkpoint: Path) -> SpacyParser:
    """The parser that a checkpoint was trained with; `name` is the `SpacyParser.name` that it records.

    Raises ModelError if that pipeline is not installed here, or with another version or other files.
    """
    package = name.rsplit("-", maxsplit=2)[0]
    needed = f"The checkpoint {checkpoint} was trained with the parser {name}, but"
    try:
        parser = load_parser(package)
    except InputError as error:
        raise ModelError(f"{needed} the spaCy pipeline {package!r} is not installed.") from error
    if parser.name != name:
        raise ModelError(f"{needed} {parser.name} is installed. Install the parser of the checkpoint, or train again.")
    return parser


def _hash_files(folder: Path) -> str:
    """A hash of a pipeline's files; texts for people, the licence and attribution, are not part of it."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if file.suffix not in (".md", ".txt"):
            digest.update(file.relative_to(folder).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
