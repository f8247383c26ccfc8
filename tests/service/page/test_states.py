"""What the page says when things go wrong, who may use it, and that it can be read by all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import Page, Route, expect

from indexer.store.library import Library
from model.fake_encoder import FakeEncoder
from service.settings import Settings
from tests.service.page.conftest import Visit, running
from tests.service.page.looking import FOUND, QUERY, cards

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.conftest import World

KEY = "a key of enough characters"
CONTRAST = """() => {
  const channel = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => c / 255);
  };
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const grounds = (node) => node ? [...grounds(node.parentElement), getComputedStyle(node).backgroundColor] : [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const weak = [];
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const seen = texts.currentNode.data.trim() && node.checkVisibility({ visibilityProperty: true });
    if (!seen || node.closest(".screen, .hidden, .skip, svg, script, [aria-hidden=true]")) continue;
    const under = grounds(node);
    const [a, b] = [luminance(paint([...under, getComputedStyle(node).color])), luminance(paint(under))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(`${texts.currentNode.data.trim()} (${node.className}): ${ratio.toFixed(2)}`);
  }
  return weak;
}"""


def test_a_service_that_is_gone_is_told_and_can_be_tried_again(page: Page) -> None:
    page.route("**/v1/search/**", lambda route: route.abort("connectionrefused"))
    page.goto(f"/?q={QUERY}")
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached")
    page.unroute("**/v1/search/**")
    page.get_by_role("button", name="Try again").click()
    expect(cards(page)).to_have_count(FOUND)


def test_the_start_page_says_that_the_service_is_gone(page: Page) -> None:
    page.route("**/v1/library", lambda route: route.abort("connectionrefused"))
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached. Check that it is running")
    page.unroute("**/v1/library")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("list", name="Example queries").get_by_role("link")).not_to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_an_answer_that_is_cut_short_is_told_and_can_be_tried_again(page: Page) -> None:
    page.route("**/v1/search/**", lambda route: route.fulfill(content_type="application/json", body='{"results": ['))
    page.goto(f"/?q={QUERY}")
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached")
    page.unroute("**/v1/search/**")
    page.get_by_role("button", name="Try again").click()
    expect(cards(page)).to_have_count(FOUND)


def test_an_answer_that_the_page_gives_up_while_it_is_read_is_no_error(page: Page) -> None:
    page.add_init_script(
        """const read = Response.prototype.json;
        Response.prototype.json = async function () {
          if (!this.url.includes("/texts")) return read.call(this);
          document.body.dataset.gaveUp = "yes";
          throw new DOMException("The user aborted a request.", "AbortError");
        };"""
    )
    page.goto(f"/?q={QUERY}")
    cards(page).locator(".screen").first.click()
    expect(page.locator("body")).to_have_attribute("data-gave-up", "yes")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_busy_service_is_asked_again(visit: Visit) -> None:
    page = visit(expected="status of 429")
    asked: list[Route] = []

    def busy_once(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.fulfill(status=429, headers={"Retry-After": "0.05"}, json={"title": "Busy", "detail": "Wait."})
        else:
            route.continue_()

    page.route("**/v1/search/clips", busy_once)
    page.goto(f"/?q={QUERY}")
    expect(cards(page)).to_have_count(FOUND)
    assert len(asked) == 2


def test_a_service_that_starts_is_waited_for(visit: Visit) -> None:
    page = visit(expected="status of 503")
    starts = [True]
    problem = {"type": "/problems#not-ready", "title": "Not ready", "detail": "The model is not loaded yet."}

    def starting(route: Route) -> None:
        if starts[0]:
            route.fulfill(status=503, headers={"Retry-After": "0.2"}, json=problem)
        else:
            route.continue_()

    page.route("**/v1/**", starting)
    page.goto(f"/?q={QUERY}")
    expect(page.get_by_text("The service is starting.")).to_be_visible()
    starts[0] = False
    expect(cards(page)).to_have_count(FOUND)
    expect(page.get_by_text("The service is starting.")).to_be_hidden()
    expect(page.locator("#library")).to_contain_text("8 clips")


def test_errors_name_the_remedy(visit: Visit) -> None:
    page = visit(expected="status of 422")
    problem = {"type": "/problems#unusable-input", "title": "No", "detail": "No level is left.", "request_id": "r1"}

    def refuse(route: Route) -> None:
        if route.request.post_data_json["weights"]:
            route.fulfill(status=422, json=problem)
        else:
            route.continue_()

    page.route("**/v1/search/clips", refuse)
    page.goto(f"/?q={QUERY}&w=entity=2")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("No level is left.")
    # The number that names the request is there for who asks for it.
    expect(alert.get_by_text("r1")).to_be_hidden()
    alert.get_by_text("Details for support").click()
    expect(alert.get_by_text("r1")).to_be_visible()
    alert.get_by_role("button", name="Reset weights").click()
    expect(cards(page)).to_have_count(FOUND)


PLACES = (
    "/",
    f"/?q={QUERY}&not=a+dog&more=1&then=a+blue+square",
    f"/?q={QUERY}&view=films",
    f"/?q={QUERY}&show=1",
    "/?clip=1",
    "/?tab=captions",
    "/?tab=library",
)
WRAPPED = """[...document.querySelectorAll(".tabs a")].filter((tab) => {
  const text = document.createRange();
  text.selectNodeContents(tab);
  return text.getClientRects().length > 1;
}).map((tab) => tab.textContent)"""
"""Tabs whose words are on several lines."""

CUT_OFF = """() => [...document.querySelectorAll('main *, header *')].filter((node) => {
  const scrolls = node.closest('.row-of-moments, .pictures, .stack, .hidden, svg, .name, .told, .marks');
  return node.checkVisibility() && !scrolls && node.getBoundingClientRect().right > innerWidth + 1;
}).map((node) => node.outerHTML.slice(0, 90))"""
MISNAMED = """() => [...document.querySelectorAll('a[aria-label], button[aria-label]')].filter((node) => {
  const text = node.innerText?.trim().toLowerCase();
  const seen = text && node.checkVisibility() && !node.matches('.screen, .tag, .brand');
  return seen && !node.ariaLabel.toLowerCase().includes(text);
}).map((node) => node.outerHTML)"""


def settled(page: Page, place: str) -> None:
    page.goto(place)
    expect(page.locator("#library")).not_to_be_empty()
    if "q=" in place or "clip=" in place:
        expect(page.locator("#results")).to_have_attribute("aria-busy", "false")


def test_a_narrow_page_breaks_nowhere(visit: Visit) -> None:
    # 320 pixels: a laptop's page at 400%.
    page = visit("narrow")
    for place in PLACES:
        settled(page, place)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
        assert page.evaluate(CUT_OFF) == [], place
        assert page.evaluate(WRAPPED) == [], place


def test_names_of_controls_have_their_visible_labels(page: Page) -> None:
    # Who speaks to the page says what stands there (WCAG 2.5.3).
    for place in PLACES:
        settled(page, place)
        assert page.evaluate(MISNAMED) == [], place


def test_an_empty_library_says_how_to_fill_it(visit: Visit, tmp_path: Path) -> None:
    Library.create(tmp_path / "empty", FakeEncoder().spec).close()
    with running(Settings(library=tmp_path / "empty")) as address:
        page = visit(at=address)
        page.goto(f"/?q={QUERY}")
        expect(page.locator("#results")).to_contain_text("quartet index PATHS --library DIR")
        page.get_by_role("link", name="See the library").click()
        expect(page.locator("#results")).to_contain_text("No videos yet")
        expect(page.get_by_text("Refused files")).to_have_count(0)


def test_asks_for_the_key_and_keeps_it(visit: Visit, films: World) -> None:
    with running(Settings(library=films.library, api_key=KEY)) as address:
        page = visit(at=address, expected="status of 401")
        page.goto(f"/?q={QUERY}")
        ask = page.get_by_role("dialog")
        expect(ask).to_contain_text("This service needs an API key")
        ask.get_by_label("API key").fill("a wrong key of enough characters")
        ask.get_by_role("button", name="Continue").click()
        expect(ask.get_by_role("alert")).to_contain_text("The API key is wrong.")
        ask.get_by_label("API key").fill(KEY)
        ask.get_by_role("button", name="Continue").click()
        expect(cards(page)).to_have_count(FOUND)
        # Pictures carry it too.
        page.wait_for_function("() => [...document.querySelectorAll('.card img')].some((image) => image.naturalWidth)")
        page.reload()
        expect(cards(page)).to_have_count(FOUND)
        page.context.clear_cookies()
        page.get_by_label("Describe a clip").fill("blue")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("alert").filter(has_text="The API key is missing or wrong")).to_be_visible()


def test_can_be_read_in_the_light_and_in_the_dark(visit: Visit) -> None:
    for scheme in ("light", "dark"):
        page = visit(color_scheme=scheme)
        for place in ("/", f"/?q={QUERY}", "/?clip=1", "/?tab=captions", "/?tab=library"):
            page.goto(place)
            if place not in {"/", "/?tab=captions"}:
                expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
                expect(page.locator("#results")).not_to_have_css("opacity", "0.6")
            else:
                expect(page.locator("#examples li").first).to_be_attached()
            assert page.evaluate(CONTRAST) == []


def test_the_colours_can_be_chosen_and_are_kept(page: Page) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    page.goto("/")
    light = page.evaluate(paper)
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="Dark").check()
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    assert page.evaluate(paper) == dark


def test_every_control_has_a_name(page: Page) -> None:
    for place in ("/", f"/?q={QUERY}&show=1", "/?clip=1", "/?tab=library"):
        page.goto(place)
        if place != "/":
            expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
        if "show" not in place:
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
        tree = page.locator("body").aria_snapshot()
        controls = [line.strip("- :") for line in tree.splitlines()]
        assert controls
        nameless = {"button", "link", "textbox", "searchbox", "slider", "spinbutton", "combobox", "progressbar"}
        assert not nameless & set(controls)
