"""Indexing folders again whenever they change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from indexer.ingest.file_walk import resolve_inputs
from indexer.ingest.index_run import IndexReport, index_videos
from indexer.ingest.publish_timer import PUBLISH_EVERY
from indexer.media.segmentation import Segmentation
from indexer.pipeline.progress import Progress
from model.encoder import Encoder
from quartet.errors import InputError

_MAX_DELAY = 600.0
"""Seconds after which a folder that never rests is indexed all the same. A file that was read while it was being
written is refused, or indexed in part, and read again when its size or time has changed."""


def watch_videos(
    library_path: Path,
    inputs: Sequence[Path],
    encoder: Encoder,
    *,
    settle: float = 2.0,
    poll: bool = False,
    stop: threading.Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    workers: int = 1,
    segmentation: Segmentation | None = None,
    keep_missing: bool = False,
    roots: Mapping[str, Path] | None = None,
    catalog: str | None = None,
    publish_every: float = PUBLISH_EVERY,
    texts: bool = True,
    store: str | None = None,
    on_polling: Callable[[str], None] = lambda reason: None,
) -> Iterator[IndexReport | InputError]:
    """Index `inputs`, and again after every change, until `stop` is set or Ctrl-C; yields each report.

    An InputError that a run raises (an input has gone, or looks unmounted) is yielded too, and does not end it.

    settle  seconds without a change before a run begins, so that no file is read while it is being copied
    poll    look for changes by listing the folders, for network shares that do not report any
    on_polling  gets the reason, if the folders are listed because the system cannot watch them

    The other parameters and the errors are those of `index_videos`. It waits for other writers of the library.
    """
    sources, library = resolve_inputs(inputs), library_path.resolve()

    def matters(change: object, name: str) -> bool:
        """As for the walk: hidden files do not, nor what is in the library."""
        path = Path(name)
        inside = next((path.relative_to(source) for source in sources if path.is_relative_to(source)), path)
        return not path.is_relative_to(library) and not any(part.startswith(".") for part in inside.parts)

    try:
        for _ in pauses(_changes(sources, matters, settle, poll, stop, on_polling), settle):
            try:
                report = index_videos(
                    library_path,
                    inputs,
                    encoder,
                    on_progress=on_progress,
                    workers=workers,
                    segmentation=segmentation,
                    keep_missing=keep_missing,
                    roots=roots,
                    wait=True,
                    catalog=catalog,
                    publish_every=publish_every,
                    texts=texts,
                    store=store,
                )
            except InputError as error:
                yield error
            else:
                yield report
                if report.interrupted:
                    return
    except KeyboardInterrupt:
        return


def _changes(
    sources: Sequence[Path],
    matters: Callable[[object, str], bool],
    settle: float,
    poll: bool,
    stop: threading.Event | None,
    on_polling: Callable[[str], None],
) -> Iterator[Collection[object]]:
    """Changes as they come, and an empty collection now and then.

    The first time-out comes once changes are being collected: what changes during the first run is not missed.
    """
    from watchfiles import watch

    def events(polling: bool) -> Iterator[Collection[object]]:
        return watch(
            *sources,
            watch_filter=matters,
            rust_timeout=round(1000 * min(0.5, settle)),
            yield_on_timeout=True,
            stop_event=stop,
            force_polling=polling or None,
            ignore_permission_denied=True,
        )

    try:
        yield from events(poll)
    except (OSError, RuntimeError) as error:
        # Linux watches so many folders per user, and so many users. (watchfiles raises either kind.)
        if poll:
            raise
        on_polling(str(error).partition(" about [")[0].rstrip("."))
        yield from events(True)


def pauses(
    events: Iterable[Collection[object]], settle: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Yields once at the start, and then whenever changes have come and none for `settle` seconds.

    events  the changes as they come, and an empty collection now and then while there are none
    """
    first = last = clock() - _MAX_DELAY
    pending = True
    for changes in events:
        now = clock()
        if changes:
            first, last, pending = (first if pending else now), now, True
        if pending and (now - last >= settle or now - first >= _MAX_DELAY):
            pending = False
            yield
