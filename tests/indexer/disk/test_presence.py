"""Gone, or not to be looked at: two things."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from indexer.disk.durable_files import writing
from indexer.disk.presence import is_gone
from quartet.errors import LibraryError


def test_only_what_is_not_there_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    assert not is_gone(tmp_path / "file")
    assert is_gone(tmp_path / "other")
    assert is_gone(tmp_path / "file" / "below")
    assert is_gone(tmp_path / "link")
    for number in (errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT):

        def fail(path: Path, number: int = number) -> None:
            raise OSError(number, "told by the system", str(path))

        monkeypatch.setattr(Path, "stat", fail)
        assert not is_gone(tmp_path / "other")
        monkeypatch.undo()


def test_a_video_that_may_not_be_read_is_no_fault_of_the_library(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    for place, expected in (
        (library / "catalog.sqlite", LibraryError),
        (tmp_path / "videos" / "a.mp4", PermissionError),
    ):
        with pytest.raises(expected), writing(library):
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
