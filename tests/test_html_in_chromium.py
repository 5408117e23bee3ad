"""The HTML page in a real browser: it answers mouse and keys, in light and dark, and nothing of a log runs.

Needs Debian's package chromium, or another build of it, which .ci/run installs; elsewhere these tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cachelog import demo, pipeline
from cachelog.contract.verdict import Setting
from cachelog.render import html
from cachelog.rooms import detectors

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if not os.environ.get("CI"):  # there nothing is skipped: a browser that is missing is an error
    pytest.importorskip("playwright", reason="playwright, of the test extras, is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)", allow_module_level=True)

MODEL = "<img src=x onerror=alert(1)>"
PODS = (
    "</script><script>alert(2)</script>",
    "\"><svg onload='alert(3)'>",
    "{{7*7}}",
    "a' onmouseover='alert(4)",
    "\u202egnp.exe",
)
DAY = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as library:
        running = library.chromium.launch(executable_path=CHROMIUM)
        yield running
        running.close()


def written(folder: Path, paths: list[str]) -> str:
    """Analyse logs and write their page; return its address."""
    report = pipeline.analyze(paths, pipeline.Options(charts=True))
    pages = {rule: module.__doc__ or "" for rule, module in detectors().items()}
    page = folder / "report.html"
    page.write_text(html.render(report, Setting(pages=pages)), encoding="utf-8")
    return page.as_uri()


@pytest.fixture(scope="module")
def incident(tmp_path_factory):
    return written(tmp_path_factory.mktemp("incident"), ["sample-logs/stale-replica"])


@pytest.fixture(scope="module")
def attack(tmp_path_factory):
    """Return a page of the demo's incident whose model and replicas are named to do harm."""
    folder = tmp_path_factory.mktemp("attack")
    demo.write(folder)
    for file in folder.iterdir():
        said = file.read_text().replace('"recommender"', json.dumps(MODEL))
        for pod, name in zip(demo._PODS, PODS, strict=True):
            said = said.replace(json.dumps(pod), json.dumps(name))
        file.write_text(said)
    return written(folder, [str(folder)])


@contextmanager
def opened(browser, address, **options):
    """Open a page; whatever the console says, a dialog and a request to elsewhere are errors."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 1400}, **options})
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: None if request.url in (address, "data:,") else wrong.append(request.url))
    page.goto(address)
    yield page
    context.close()
    assert wrong == []


def rows(page):
    return page.locator("#table tbody tr:visible th").all_inner_texts()


def test_the_charts_are_drawn_and_say_numbers_under_the_mouse(browser, incident):
    with opened(browser, incident) as page:
        assert page.locator("#finding-1 .moving canvas").count() == 2
        assert not page.locator("#finding-1 .static").is_visible()
        over = page.locator("#finding-1 .u-over").first.bounding_box()
        page.mouse.move(over["x"] + over["width"] * 0.75, over["y"] + 50)
        said = page.locator("#finding-1 .readout").inner_text()
        assert "05:40" in said and "2 affected" in said and " of " in said and "3 not affected" in said
        lanes = page.locator("#finding-1 .u-over").nth(1).bounding_box()
        page.mouse.move(lanes["x"] + lanes["width"] * 0.75, lanes["y"] + 10)
        assert "search-7d9c8b6f5-8rw4z v9 since 05:34:08" in page.locator("#finding-1 .readout").inner_text()
        page.mouse.move(over["x"] + over["width"] * 0.1, over["y"] + 60)
        assert "search-" not in page.locator("#finding-1 .readout").inner_text()
        page.mouse.move(5, 5)
        assert "Point at the charts" in page.locator("#finding-1 .readout").inner_text()


def test_a_drag_zooms_both_charts_and_escape_shows_all_again(browser, incident):
    with opened(browser, incident) as page:
        plain = page.locator("#finding-1 canvas").nth(1).evaluate("canvas => canvas.toDataURL()")
        over = page.locator("#finding-1 .u-over").first.bounding_box()
        page.mouse.move(over["x"] + 200, over["y"] + 50)
        page.mouse.down()
        page.mouse.move(over["x"] + 400, over["y"] + 60, steps=4)
        page.mouse.up()
        read = "canvas => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(canvas.toDataURL()))))"
        assert page.locator("#finding-1 canvas").nth(1).evaluate(read) != plain
        page.locator("#finding-1 .moving").focus()
        page.keyboard.press("Escape")
        assert page.locator("#finding-1 canvas").nth(1).evaluate(read) == plain


def test_keys_alone_reach_everything_and_step_through_the_numbers(browser, incident):
    with opened(browser, incident) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        seen = []
        for _ in range(45):
            page.keyboard.press("Tab")
            seen.append(
                page.evaluate(
                    "document.activeElement.className || document.activeElement.id || document.activeElement.tagName"
                )
            )
            if seen[-1] == "moving":
                page.keyboard.press("ArrowRight")
                page.keyboard.press("ArrowRight")
                assert page.locator("#finding-1 .readout").inner_text().startswith("05:2")
        order = [seen.index(name) for name in ("A", "moving", "SUMMARY", "filter", "concerned", "BUTTON")]
        assert order == sorted(order)
        page.locator("#finding-1 summary").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("#finding-1 .figures td").first.is_visible()


def test_the_table_of_models_sorts_and_filters(browser, incident):
    with opened(browser, incident) as page:
        assert rows(page) == ["search-ranker", "spell-check"]
        lookups = page.get_by_role("button", name="Lookups")
        lookups.click()
        assert page.locator("th[aria-sort=descending]").inner_text().startswith("Lookups")
        lookups.click()
        assert rows(page) == ["spell-check", "search-ranker"]
        page.get_by_label("Show models with").fill("v10")
        assert rows(page) == ["search-ranker"]
        assert page.locator("#shown").inner_text() == "1 of 2"
        page.get_by_label("Show models with").fill("")
        page.get_by_label("with findings only").check()
        assert rows(page) == ["search-ranker"]
        page.locator("#table a.chip.info").click()  # a link to what is folded opens it
        assert page.locator("#finding-4 .summary").is_visible()


def test_without_scripts_it_is_all_there(browser, incident):
    with opened(browser, incident, java_script_enabled=False) as page:
        assert page.locator("#finding-1 svg.chart").bounding_box()["height"] > 200
        assert not page.locator(".controls").is_visible()
        assert page.locator("h1").inner_text().startswith("search-ranker: older version v9")
        assert page.locator("#finding-1 code").first.is_visible()


@pytest.mark.parametrize("scheme, rules", [("light", {}), ("dark", {"runOnly": ["color-contrast"]})])
def test_axe_finds_nothing_wrong(browser, incident, scheme, rules):
    from axe_playwright_python.sync_playwright import Axe

    with opened(browser, incident, color_scheme=scheme) as page:
        page.locator("#findings details").evaluate_all("all => all.forEach(one => { one.open = true; })")
        found = Axe().run(page, options={"resultTypes": ["violations"], **rules}).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []


def test_dark_and_light_differ_also_in_the_charts(browser, incident):
    with opened(browser, incident, color_scheme="light") as page:
        look = "[getComputedStyle(document.body).backgroundColor, document.querySelector('canvas').toDataURL()]"
        light = page.evaluate(look)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"{look}[1] !== {json.dumps(light[1])}")
        assert light[0] == "rgb(255, 255, 255)" and page.evaluate(look)[0] == "rgb(16, 21, 27)"


def test_it_fits_a_narrow_screen(browser, incident):
    with opened(browser, incident, viewport={"width": 390, "height": 800}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_paper_is_white_with_drawings_and_all_proof(browser, incident):
    with opened(browser, incident, color_scheme="dark") as page:
        page.emulate_media(media="print")
        assert page.locator("#finding-1 svg.chart").is_visible()
        assert not page.locator("#finding-1 .moving").is_visible()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_names_that_attack_are_shown_as_text(browser, attack):
    with opened(browser, attack) as page:
        assert page.title().startswith(MODEL)
        assert MODEL in page.locator("h1").inner_text()
        shown = page.locator("body").inner_text()
        assert PODS[1] in shown and r"\u202egnp.exe" in shown
        assert page.locator("img, svg[onload], [onmouseover]").count() == 0
        assert page.locator("script").count() == 2
        lanes = page.locator("#finding-1 .u-over").nth(1).bounding_box()
        for at in range(5):
            page.mouse.move(lanes["x"] + 300, lanes["y"] + 10 + 20 * at)
        assert MODEL in rows(page)[0]


def fleet(models: int):
    """Yield a day of lines: each model deployed at noon on four pods, two of which go back at 18:00."""
    for model in range(models):
        name = f"model-{model:02d}"
        for pod in range(4):
            for step in range(0, 1440, 12):
                stale = step >= 1080 and pod < 2
                version = "v1" if step < 720 or stale else "v2"
                fields = {
                    "ts": f"{DAY + timedelta(minutes=step, seconds=pod):%Y-%m-%dT%H:%M:%SZ}",
                    "pod": f"{name}-{pod}",
                    "model": name,
                }
                if step in (0, 720) or (step == 1080 and stale):
                    yield {**fields, "event": "model_loaded", "version": version}
                yield {
                    **fields,
                    "event": "cache_miss" if (step * 7 + pod) % (3 if stale else 11) < 6 else "cache_hit",
                    "version": version,
                }


def test_a_day_of_50_models_that_all_go_wrong_is_under_2_mb(browser, tmp_path):
    log = tmp_path / "day.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in fleet(50)))
    address = written(tmp_path, [str(log)])
    assert (tmp_path / "report.html").stat().st_size < 2_000_000
    with opened(browser, address) as page:
        assert len(rows(page)) == 50
        assert page.locator("article.card").count() >= 40
