"""The page in few files: its modules in one script, each that is imported later in another, its sheets in one.

A browser that is far away waits once for each file that it finds named in another, and fifty modules name each other.
There is no build step: the files are put together when the service starts, without comments and indentation.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

_IMPORT = re.compile(r'^import (?:\* as (\w+)|\{([^}]*)\}) from "(\.[^"]+)";\n', re.MULTILINE)
_LATER = re.compile(r'\bimport\("(\.[^"]+)"\)')
_EXPORT = re.compile(r"^export (?:async )?(?:const|class|function) (\w+)", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b(?!\().*", re.MULTILINE)

_FIRST = ("base", "controls")
"""Sheets that the others refine."""


def scripts(page: Path, entry: str = "app.js") -> dict[str, str]:
    """`entry` with all that it imports, as one script; and one for each module that is imported later, `import(...)`.

    A module becomes a function that is called once, after those that it imports, and gives what it exports. A script
    exports its modules under short names, so that later ones share them. Raises ValueError for modules that import
    each other in a circle, for one that two later scripts would need, and for forms of import and export that the page
    does without.
    """
    early: list[Path] = []
    _visit((page / entry).resolve(), early, ())
    later: dict[Path, list[Path]] = {}
    for found in (
        (path.parent / name).resolve() for path in early for name in _LATER.findall(path.read_text(encoding="utf-8"))
    ):
        order = [*early]
        _visit(found, order, ())
        later[found] = order[len(early) :]
    every = [*early, *(path for own in later.values() for path in own)]
    if twice := {path.name for path in every if every.count(path) > 1}:
        raise ValueError(f"Two scripts that are imported later need {', '.join(sorted(twice))}. Import it in {entry}.")
    names = {path: f"${i}" for i, path in enumerate(every)}
    shared = ", ".join(names[path] for path in early)
    made = {entry: "\n".join((*_tables(page), *(_module(path, names) for path in early), f"export {{ {shared} }};\n"))}
    for path, own in later.items():
        head, tail = f'import {{ {shared} }} from "./{entry}";', f"export {{ {names[path]} }};\n"
        made[path.name] = "\n".join((head, *(_module(one, names) for one in own), tail))
    return made


def _tables(page: Path) -> list[str]:
    """The English texts, which every reader may need, and the names of all languages; the others are fetched."""
    tables = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in language_files(page)}
    english = json.dumps(tables.get("en", {}), ensure_ascii=False, separators=(",", ":"))
    names = json.dumps({code: table["language"] for code, table in tables.items()}, ensure_ascii=False)
    return [f"const ENGLISH = {english};", f"const LANGUAGES = {names};"]


def style(page: Path) -> str:
    """The sheets of styles/, those that the others build on first, without comments and indentation."""
    paths = sorted((page / "styles").glob("*.css"), key=lambda path: (path.stem not in _FIRST, path.stem))
    sheets = [path.read_text(encoding="utf-8") for path in paths]
    text = re.sub(r"/\*.*?\*/", "", "\n".join(sheets), flags=re.DOTALL)
    return "".join(f"{stripped}\n" for line in text.splitlines() if (stripped := line.strip()))


def language_files(page: Path) -> list[Path]:
    """A file for each language that the page speaks."""
    return sorted((page / "languages").glob("*.json"))


def _visit(path: Path, order: list[Path], above: tuple[Path, ...]) -> None:
    if path in above:
        raise ValueError(f"{path.name} imports itself by way of {', '.join(one.name for one in above)}.")
    if path in order:
        return
    for _, _, target in _IMPORT.findall(path.read_text(encoding="utf-8")):
        _visit((path.parent / target).resolve(), order, (*above, path))
    order.append(path)


def _module(path: Path, names: dict[Path, str]) -> str:
    text = path.read_text(encoding="utf-8")
    exported = _EXPORT.findall(text)

    def binding(found: re.Match[str]) -> str:
        module = names[(path.parent / found[3]).resolve()]
        taken = found[1] or "{" + found[2].replace(" as ", ": ") + "}"
        return f"const {taken} = {module};\n"

    def later(found: re.Match[str]) -> str:
        target = (path.parent / found[1]).resolve()
        return f'import("./{target.name}").then((made) => made.{names[target]})'

    text = _LATER.sub(later, _IMPORT.sub(binding, text))
    text = re.sub(r"^export (?=(?:async )?(?:const|class|function) )", "", text, flags=re.MULTILINE)
    if other := _OTHER.search(text):
        raise ValueError(f"{path.name}: {other[0]!r} is a form of import or export that the page may not use.")
    lines = [stripped for line in text.splitlines() if (stripped := line.strip()) and not stripped.startswith("//")]
    body = "\n".join(lines)
    # A module may wait at its top level, as modules may.
    wait = re.search(r"^(?!\s).*\bawait ", text, re.MULTILINE) is not None
    made = f"() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}}"
    return f"const {names[path]} = {f'await (async {made})()' if wait else f'({made})()'};"
