"""Fetching a model from a model hub, of two towers, of sentences or of speech: only this code downloads anything."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from model.language.sentence_encoder import SentenceEncoder, SentenceModel
from model.speech import Whisper, holds_whisper, require_faster_whisper
from model.two_tower.layouts import PICTURES, TEXTS, is_sentence_transformer
from model.two_tower.prepared_models import (
    KNOWN,
    PARTNERS,
    Record,
    digest,
    find_prepared,
    hash_files,
    prepared_folder,
    read_record,
    write_record,
)
from model.two_tower.safe_loading import refuse_code
from quartet.errors import InputError, ModelError

_SMALL = (".json", ".txt", ".model", ".jinja")
"""Suffixes of configurations, vocabularies, tokenizers and chat templates."""

_MODULE = re.compile(r"\d+_\w+")
"""Folders of the modules of a sentence-transformers model."""


def prepare_model(
    name: str,
    models: Path,
    revision: str | None = None,
    *,
    pictures: str | None = None,
    sentences: bool = False,
    endpoint: str | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Record:
    """Fetch a model into `models`, try it, and note its revision and hashes. Later use needs no network.

    `revision` is a branch, tag or commit; None: the one that is there already, else the newest. `endpoint` is another
    hub than huggingface.co. A model of texts alone is joined to the `pictures` of the model that it was trained for,
    which is fetched first if it is not there. With `sentences` the model reads captions and needs no pictures.
    Nothing is left behind of a model that cannot be used.
    Raises InputError for a name that the hub does not have and for a model that is prepared for another use, ModelError
    for a model that is damaged or of another kind.
    """
    known = find_prepared(models, name)
    if known is not None:
        record = read_record(known)
        hash_files(known)  # raises if it is damaged
        if record.sentences != sentences:
            use = "captions" if record.sentences else "search"
            raise InputError(f"{record.name} is prepared for {use}. To prepare it for another use, delete {known}.")
        if revision in (None, record.revision):
            tell(f"{record.name} is prepared: {record.repository} at {record.revision}.")
            return record
    repository = KNOWN.get(name, name)
    if repository.count("/") != 1:
        raise InputError(
            f"There is no model {name!r}. Give a repository of the hub, such as google/siglip-base-patch16-224, or one "
            f"of: {', '.join(KNOWN)}. `quartet models` lists more."
        )
    seen_by = None
    if pictures and sentences:
        raise InputError("A model that reads captions needs no pictures: leave out --pictures or --sentences.")
    if not sentences and (pictures := pictures or PARTNERS.get(name)):
        prepare_model(pictures, models, endpoint=endpoint, tell=tell)
        seen_by = prepared_folder(models, pictures)
    folder = prepared_folder(models, name)
    return _fetch(name, repository, folder, revision, seen_by, sentences, endpoint, tell)


def _fetch(
    name: str,
    repository: str,
    folder: Path,
    revision: str | None,
    pictures: Path | None,
    sentences: bool,
    endpoint: str | None,
    tell: Callable[[str], None],
) -> Record:
    from huggingface_hub import HfApi, snapshot_download

    # HTTPError is the base of the hub's own errors and of those of its HTTP library.
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        GatedRepoError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    partial = folder.with_name(f".{folder.name}.partial")
    fetched = partial if pictures is None else partial / TEXTS
    try:
        about = HfApi(endpoint=endpoint).model_info(repository, revision=revision)
        commit = str(about.sha)
        files = wanted_files([entry.rfilename for entry in about.siblings or ()])
        tell(f"Fetching {repository} at {commit}: {len(files)} files.")
        partial.mkdir(parents=True, exist_ok=True)
        # A download that was stopped goes on: finished files stay in the folder, which belongs to one commit.
        marker = partial / ".commit"
        if not marker.exists() or marker.read_text(encoding="utf-8") != commit:
            shutil.rmtree(partial)
            partial.mkdir()
            marker.write_text(commit, encoding="utf-8")

        def download(names: list[str]) -> None:
            snapshot_download(repository, revision=commit, local_dir=fetched, allow_patterns=names, endpoint=endpoint)

        download([name for name in files if PurePosixPath(name).suffix in _SMALL])
        # Gigabytes are not fetched of a model that its small files say cannot be used.
        _check_without_weights(fetched, sentences)
        download(files)
    except GatedRepoError as error:
        raise InputError(
            f"{repository} needs an account and a signed agreement. Log in with `hf auth login`."
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"{repository} has no revision {revision!r}.") from error
    except RepositoryNotFoundError as error:
        raise InputError(f"The hub has no model {repository!r}, or shows it only after a login.") from error
    except (ModelError, InputError):
        shutil.rmtree(partial, ignore_errors=True)
        raise
    except HTTPError as error:
        raise InputError(
            f"{repository} cannot be fetched: {error}. Check the network (HTTPS_PROXY names a proxy, HF_ENDPOINT a "
            "mirror of the hub) and run the command again: it continues where it stopped."
        ) from error
    except OSError as error:  # HF_HUB_OFFLINE, a full disk
        raise InputError(f"{repository} cannot be fetched: {error}") from error
    if pictures is not None:
        shutil.copytree(pictures, partial / PICTURES, dirs_exist_ok=True, copy_function=_linked)
    try:
        record = _check_and_record(partial, name, repository, commit, sentences)
    except ModelError:
        shutil.rmtree(partial)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return record


def _check_without_weights(folder: Path, sentences: bool) -> None:
    """Raise ModelError, or InputError for a package that is missing, if the small files of a model say so already."""
    if sentences:
        if not is_sentence_transformer(folder):
            raise ModelError("The repository has no modules.json: it is not a model of sentence-transformers.")
        refuse_code(folder)
    elif holds_whisper(folder):
        require_faster_whisper()
    else:
        from model.two_tower.towers import check_without_weights

        check_without_weights(folder)


def _check_and_record(partial: Path, name: str, repository: str, commit: str, sentences: bool) -> Record:
    """Load the model once, and write its record. Raises ModelError if it cannot be used."""
    for place in (partial, partial / TEXTS):
        shutil.rmtree(place / ".cache", ignore_errors=True)
    (partial / ".commit").unlink()
    files = hash_files(partial)
    if sentences:
        SentenceEncoder(other=SentenceModel(partial, name, digest(files)))
    elif holds_whisper(partial):
        Whisper(partial)
    else:
        from model.two_tower.towers import TwoTower

        TwoTower(partial)
    record = Record(name, repository, commit, files, sentences=sentences)
    write_record(partial, record)
    return record


def _linked(source: str, target: str) -> None:
    """The same file in another folder, once on disk where the file system can."""
    try:
        os.link(source, target)
    except FileExistsError:
        pass  # of a download that was stopped
    except OSError:
        shutil.copy2(source, target)


def wanted_files(names: Sequence[str]) -> list[str]:
    """The files of a repository that a model needs: weights in one format and one layout, and what is small.

    A repository in two layouts is read in that of transformers, which needs no other package.
    Raises ModelError if there are no weights that PyTorch reads without running code from the file.
    """
    paths = [PurePosixPath(name) for name in names]
    weights = next(
        (found for pattern in _WEIGHTS if (found := [path for path in paths if path.match(pattern)])),
        [],
    )
    if not weights:
        raise ModelError(
            "The repository has no weights in a known layout: model.safetensors or pytorch_model.bin of "
            "transformers, open_clip_model.safetensors or open_clip_pytorch_model.bin of open_clip, model.bin of "
            "faster-whisper."
        )
    # A module of its own, such as a last layer, may have its weights in another format.
    for module in {path.parent for path in paths if _MODULE.fullmatch(str(path.parent))}:
        own = [path for path in paths if path.parent == module]
        if not any(path in weights for path in own):
            weights = [*weights, *next((some for p in _WEIGHTS if (some := [w for w in own if w.match(p)])), [])]
    places = {path.parent for path in weights} | {PurePosixPath()}
    small = [path for path in paths if path.suffix in _SMALL]
    kept = [path for path in small if path.parent in places or _MODULE.fullmatch(str(path.parent))]
    return [str(path) for path in (*kept, *weights)]


_WEIGHTS = (
    "model*.safetensors",
    "pytorch_model*.bin",  # read with weights_only, so that they cannot run code; and so is that of open_clip
    "open_clip_model*.safetensors",
    "open_clip_pytorch_model*.bin",
    "model.bin",  # of CTranslate2, no pickle
)
"""The first of these that a repository has."""
