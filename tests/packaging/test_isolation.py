"""Nothing of the working directory is imported, and `import quartet` needs httpx and pydantic alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder whose modules, were they imported, would leave a file."""
    (tmp_path / "service").mkdir()
    for name in ("model.py", "service/__init__.py", "numpy.py", "quartet.py", "typer.py"):
        (tmp_path / name).write_text("open('imported', 'w').close()\nraise SystemExit('taken from the folder')\n")
    return tmp_path


def console_script(folder: Path) -> Path:
    """What pip writes for `quartet = "service.__main__:main"`, outside of the working directory."""
    script = folder.with_name(folder.name + "-bin") / "quartet"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom service.__main__ import main\nsys.exit(main())\n")
    script.chmod(0o755)
    return script


def test_the_command_imports_nothing_of_the_folder_that_it_runs_in(trap: Path) -> None:
    command = [console_script(trap), "status", "--library", "nowhere"]
    done = subprocess.run(
        command, cwd=trap, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert "taken from the folder" not in done.stderr and not (trap / "imported").exists()
    assert done.returncode == 1 and "nowhere" in done.stderr


def test_processes_that_it_starts_do_not_either(trap: Path) -> None:
    """A process by spawn begins as `python -c`, whose first place to import from is the working directory."""
    code = (
        "import os, subprocess, sys\nimport service.__main__ as command\nimport service.cli\n"
        "def run():\n"
        "    code = 'import sys; print(repr(sys.path[0]))'\n"
        "    print(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout)\n"
        "service.cli.main = run\ncommand.main()\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=trap, env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() not in ("''", "")


def test_import_quartet_is_light() -> None:
    code = (
        "import sys, json; before = set(sys.modules); import quartet;"
        "quartet.Client; print(json.dumps(sorted({m.partition('.')[0] for m in set(sys.modules) - before})))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert {"quartet", "httpx2", "pydantic"} <= loaded
    heavy = {"torch", "fastapi", "faiss", "numpy", "spacy", "starlette", "uvicorn", "typer", "sqlalchemy"}
    assert not loaded & (heavy | {"model", "indexer", "service", "demo"})


def test_the_errors_need_no_other_package() -> None:
    code = (
        "import sys; sys.modules['httpx2'] = sys.modules['pydantic'] = None; import quartet.errors;"
        "print(quartet.NotFoundError is quartet.errors.NotFoundError)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_every_exported_name_is_there_and_typed() -> None:
    import quartet

    assert all(hasattr(quartet, name) for name in quartet.__all__)
    assert (ROOT / "quartet" / "py.typed").is_file()


@pytest.mark.parametrize("missing", ["typer", "faiss"])
def test_a_missing_package_names_the_extra(missing: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['quartet', 'search', 'a', '--library', 'lib'];"
        "import service.__main__ as command\n"
        "def run(): import faiss\n"
        f"if {missing!r} == 'faiss':\n    import service.cli; service.cli.main = run\n"
        "command.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{missing!r} is not installed" in done.stderr and "[cpu]" in done.stderr and "[gpu]" in done.stderr
