"""`quartet models`: which two-tower models there are, which are here, and what this machine makes of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from service.cli.options import DeviceOption, JsonOption, console, settings_of

_TRIAL_FRAMES = (12, 360, 640, 3)
TRIAL_SECONDS = 10.0
_BYTES_OF_A_PARAMETER = 4
_WORKING_MEMORY = 1.5
"""Memory of a model at work, in sizes of its weights. A rule of thumb; `--try` measures."""


@dataclass(frozen=True)
class _Trial:
    """What a model that is here does on this machine."""

    load_seconds: float
    frames_per_second: float
    texts_per_second: float
    memory_bytes: int


def models(
    models_folder: Annotated[
        Path | None,
        typer.Option(
            "--models",
            help="Folder for models. Default: QUARTET_MODELS, else ~/.cache/quartet/models.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--try",
            help="Measure this prepared model, or the model in this folder, for ten seconds.",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List models for search without training: facts about each, and whether it is prepared and fits in memory.

    R@1 is how often the right one of 1,000 videos comes first for a sentence (MSR-VTT, without training), as
    published. A missing figure says nothing about quality. Any other model that `quartet prepare` accepts works, too.

    [dim]quartet models[/]

    [dim]quartet models --try clip-ViT-B-32[/]
    """
    from model.two_tower.known_models import KNOWN_MODELS
    from model.two_tower.prepared_models import prepared_names

    settings = settings_of(models=models_folder, device=device)
    if name is not None:
        trial = _trial(name, settings.models, settings.device)
        if as_json:
            typer.echo(json.dumps({"model": name, **asdict(trial)}, indent=1))
        else:
            console().print(
                f"[bold]{escape(name)}[/]: {trial.frames_per_second:.1f} frames/s, {trial.texts_per_second:.1f} "
                f"texts/s, loaded in {trial.load_seconds:.1f} s, {trial.memory_bytes / 1e9:.2f} GB of memory.",
                highlight=False,
            )
        return
    here = prepared_names(settings.models)
    free = _available_memory()
    rows = [
        {**asdict(known), "prepared": known.name in here, "fits": _fits(known.parameters, free)}
        for known in KNOWN_MODELS
    ]
    others = [other for other in here if other not in {known.name for known in KNOWN_MODELS}]
    if as_json:
        typer.echo(json.dumps({"models": rows, "others_prepared": others, "available_memory": free}, indent=1))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("model", "here", "size", "fits", "licence", "languages", "dims", "frames", "R@1", "source"):
        table.add_column(column, justify="right" if column in ("size", "dims", "frames", "R@1") else "left")
    for known, row in zip(KNOWN_MODELS, rows, strict=True):
        size = "-" if known.parameters is None else f"{known.parameters * _BYTES_OF_A_PARAMETER / 1000:.1f} GB"
        fits = {True: "yes", False: "no", None: "-"}[row["fits"]]
        recall = "-" if known.recall is None else f"{known.recall:.1f}"
        kept = "yes" if row["prepared"] else "-"
        sizes = (str(known.dim), str(known.frames), recall)
        table.add_row(known.name, kept, size, fits, known.licence, known.languages, *sizes, known.source)
    for other in others:
        table.add_row(escape(other), "yes", *["-"] * 8)
    out = console()
    out.print(table)
    out.print(
        "\nFetch one with: quartet prepare MODEL. Models of open_clip need the extra open-clip.\nMeasure a "
        "prepared model with: quartet models --try MODEL",
        highlight=False,
    )


def _fits(parameters: int | None, free: int) -> bool | None:
    if parameters is None:
        return None
    return parameters * 1_000_000 * _BYTES_OF_A_PARAMETER * _WORKING_MEMORY < free


def _available_memory() -> int:
    """Bytes of memory that a program can still take."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _trial(name: str, models_folder: Path, device: str) -> _Trial:
    """Encode frames, then texts, for about TRIAL_SECONDS in all. Raises ModelError for a model that is not here."""
    import resource

    import numpy as np

    from model.precision import Precision, has_bf16
    from model.registry import resolve_device
    from model.vision.frame_networks import load_two_tower

    began = time.perf_counter()
    with console().status("Loading the model"):
        # As a new library is indexed.
        precision: Precision = "bf16" if has_bf16() else "float32"
        tower = load_two_tower(name, models_folder, resolve_device(device)).freeze(precision=precision)
    loaded = time.perf_counter() - began
    clip = np.random.default_rng(0).integers(0, 256, _TRIAL_FRAMES, dtype=np.uint8)
    texts = ["a man in a red shirt rides a horse along the beach"]
    with console().status("Trying it"):
        frames = _rate(lambda: tower.features([clip]), 0.7 * TRIAL_SECONDS) * len(clip)
        read = _rate(lambda: tower.texts(texts), 0.3 * TRIAL_SECONDS)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return _Trial(round(loaded, 2), round(frames, 2), round(read, 2), memory)


def _rate(work: Callable[[], object], seconds: float) -> float:
    """Calls in a second, after one that counts for nothing."""
    work()
    began, calls = time.perf_counter(), 0
    while (taken := time.perf_counter() - began) < seconds:
        work()
        calls += 1
    return calls / taken
