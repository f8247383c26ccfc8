"""What the first screen costs: few requests, few bytes; and that modules and sheets come as one file each."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from playwright.sync_api import Response, expect

from service.http.pages.page_bundle import scripts, style
from tests.service.page.conftest import Visit

PAGE = Path(__file__).parents[3] / "service" / "page"


@pytest.mark.parametrize(("language", "examples"), [("en-US", "Example queries"), ("de-DE", "Beispiele")])
def test_the_first_screen_is_light(visit: Visit, language: str, examples: str) -> None:
    page = visit(locale=language)
    loaded: list[Response] = []
    page.on("response", lambda response: loaded.extend([response]))
    page.goto("/")
    expect(page.get_by_role("list", name=examples).get_by_role("link")).to_have_count(3)
    page.wait_for_load_state("networkidle")
    assert len(loaded) < 10
    sizes = {response.url: response.request.sizes() for response in loaded}
    total = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes.values())
    assert total < 60_000, sizes


def test_modules_and_sheets_come_in_few_files() -> None:
    made = scripts(PAGE)
    assert set(made) == {"app.js", "library.js", "viewer.js"}
    assert made["app.js"].index("const $0 =") < made["app.js"].index("const $1 =")
    for later in ("library.js", "viewer.js"):
        assert 'from "./app.js";' in made[later] and "const $0 =" not in made[later]
    assert len(gzip.compress(made["app.js"].encode())) < 40_000
    assert ".card" in style(PAGE) and "/*" not in style(PAGE)
    assert style(PAGE).index(":root") < style(PAGE).index(".search")


def test_modules_in_a_circle_and_other_forms_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nexport const a = () => b;\n')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\nexport const b = () => a;\n')
    with pytest.raises(ValueError, match=r"a\.js imports itself"):
        scripts(tmp_path, "a.js")
    (tmp_path / "b.js").write_text("export default 3;\n")
    with pytest.raises(ValueError, match="export default"):
        scripts(tmp_path, "a.js")
    (tmp_path / "b.js").write_text("export const b = 3;\n")
    (tmp_path / "first.js").write_text('const load = () => [import("./a.js"), import("./c.js")];\n')
    (tmp_path / "c.js").write_text('import { b } from "./b.js";\nexport const c = () => b;\n')
    with pytest.raises(ValueError, match=r"Two scripts that are imported later need b\.js\. Import it in first\.js\."):
        scripts(tmp_path, "first.js")
    (tmp_path / "b.js").write_text("// Three.\nexport const b = 3;\nawait b;\n")
    assert scripts(tmp_path, "a.js")["a.js"] == (
        "const ENGLISH = {};\nconst LANGUAGES = {};\n"
        "const $0 = await (async () => {\nconst b = 3;\nawait b;\nreturn { b };\n})();\n"
        "const $1 = (() => {\nconst { b } = $0;\nconst a = () => b;\nreturn { a };\n})();\n"
        "export { $0, $1 };\n"
    )
