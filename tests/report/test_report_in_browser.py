"""A real browser shows the report as it is meant to be read, on a screen and on a phone."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ledgers import hostile, ledger, renamed

from anatomy_bench.report.atlas import make_atlas
from anatomy_bench.report.atlas_pages import atlas_html
from anatomy_bench.report.atlas_profiles import profiles_figure
from anatomy_bench.report.html import html_report
from anatomy_bench.run.ledger import Ledger

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (390, 850, 1280)
PAGES = ("plain", "hostile", "atlas", "hostile atlas")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium to look at the page with")

# The reports stand in frames as they are; only this page, which measures them, has a script.
HARNESS = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">{frames}<pre id="found"></pre><script>
const box = (element) => element.getBoundingClientRect();
const name = (element) => `${{element.tagName}} ${{element.className}} ${{element.textContent.slice(0, 40)}}`;
const measure = (frame) => {{
  const page = frame.contentDocument, width = frame.contentWindow.innerWidth;
  const all = (selector) => [...page.querySelectorAll(selector)];
  const letters = all("svg text").map(box);
  return {{
    width,
    scrolled: page.documentElement.scrollWidth,
    outside: all("body *").filter((each) => !each.closest(".scroll") && box(each).right > width + 1).map(name),
    cramped: all(".cards td, .cards th").filter((each) => each.scrollWidth > each.clientWidth + 1).map(name),
    claims: Math.min(...all(".cards tbody th, .matrix tbody th").map((each) => box(each).width)),
    drawings: all("svg").map((each) => [box(each).width, box(each).height]),
    letters: letters.filter((each) => each.width > 0).length,
    smallest: Math.min(...letters.map((each) => each.height)),
    ran: frame.contentWindow.ran ?? null,
  }};
}};
onload = () => {{
  const frames = [...document.querySelectorAll("iframe")].map((frame) => [frame.id, measure(frame)]);
  document.getElementById("found").textContent = JSON.stringify(Object.fromEntries(frames));
}};
</script>"""
FRAME = '<iframe id="{name} {width}" style="width:{width}px;height:900px;border:0" srcdoc="{source}"></iframe>'


def atlas_page(*ledgers: Ledger) -> str:
    atlas = make_atlas([(Path("ledger.json"), each) for each in ledgers])
    return atlas_html(atlas, profiles_figure(atlas))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the browser finds in each page at each width."""
    assert BROWSER is not None
    folder = tmp_path_factory.mktemp("browser")
    models = [renamed(ledger(layers), f"some/model-of-{layers}-layers") for layers in (30, 24, 12, 3)]
    sources = {
        "plain": html_report(ledger()),
        "hostile": html_report(hostile()).replace("alert(1)", "window.ran=1"),
        "atlas": atlas_page(*models),
        "hostile atlas": atlas_page(hostile(), *models).replace("alert(1)", "window.ran=1"),
    }
    frames = [
        FRAME.format(name=name, width=width, source=html.escape(sources[name])) for name in PAGES for width in WIDTHS
    ]
    (folder / "harness.html").write_text(HARNESS.format(frames="".join(frames)), encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    options += [f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000", "--virtual-time-budget=10000"]
    ended = subprocess.run(
        [BROWSER, *options, "--dump-dom", (folder / "harness.html").as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    told = re.search(r'<pre id="found">(\{.*?\})</pre>', ended.stdout, re.DOTALL)
    assert told, ended.stderr[-2000:]
    return json.loads(html.unescape(told.group(1)))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_reaches_beyond_the_screen(found: dict[str, Any], name: str, width: int) -> None:
    page = found[f"{name} {width}"]
    assert width - 20 <= page["width"] <= width  # less a scroll bar
    assert page["outside"] == []
    assert page["scrolled"] <= page["width"]
    assert page["cramped"] == []
    assert page["claims"] > (130 if "atlas" in name else 200)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_every_figure_is_seen_and_its_letters_are_readable(found: dict[str, Any], name: str, width: int) -> None:
    page = found[f"{name} {width}"]
    assert len(page["drawings"]) >= (1 if "atlas" in name else 3)
    assert all(wide >= 500 and high >= 150 for wide, high in page["drawings"])
    assert page["letters"] > 20 * len(page["drawings"])
    assert page["smallest"] >= 9


def test_nothing_that_a_ledger_says_runs(found: dict[str, Any]) -> None:
    assert {page["ran"] for page in found.values()} == {None}
