"""A user without a home, as in a container that is run with `--user`."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from model.home_folder import expand_home
from model.registry import checkpoint_folder, name_elsewhere, name_of_builder
from model.two_tower.prepared_models import find_prepared, prepared_folder, prepared_names
from quartet.errors import InputError, ModelError
from service.settings import Settings


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("homeless")
def test_no_home_is_needed_for_what_is_not_in_it(tmp_path: Path) -> None:
    assert checkpoint_folder("demo").is_dir()
    assert checkpoint_folder(tmp_path) == tmp_path
    assert name_elsewhere("demo") == "demo"
    assert name_elsewhere(str(tmp_path)) == str(tmp_path)
    assert find_prepared(Path("~/models"), "any") is None
    assert prepared_names(Path("~/models")) == []
    assert name_of_builder("unknown") is None
    with pytest.raises(ModelError, match="There is no model 'unknown'"):
        checkpoint_folder("unknown")


@pytest.mark.usefixtures("homeless")
def test_else_the_variable_to_set_is_named() -> None:
    with pytest.raises(InputError, match=r"HOME is not set\. Set QUARTET_MODELS to a writable folder"):
        prepared_folder(Path("~/models"), "clip-vit-b32")
    with pytest.raises(InputError, match="Set QUARTET_TEXT_CACHE to a writable folder"):
        Settings().text_cache_folder()


def test_with_a_home_it_is_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand_home(Path("~/x"), "ANY") == tmp_path / "x"
    assert expand_home(Path("/x"), "ANY") == Path("/x")
