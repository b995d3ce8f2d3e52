#!/usr/bin/env python3
"""Holds report.html in a real browser: it renders, says nothing on the console, asks for nothing from the network, and
answers to the mouse, to the keyboard, to links and to its filters, in light and in dark.

    pip install selenium; apt-get install chromium chromium-driver
    tests/browser/report.py REPORT.html…

With `--planted` each of a list of mistakes is put into the first report, and the check must find every one of them.
Ends with `N passed, N failed`; exit status 1 if anything failed.
"""

import json
import pathlib
import re
import sys
import tempfile
import time
import traceback

from selenium import webdriver
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

# A page that has not answered by then never will; no check passes or fails by how fast it is.
PATIENCE_S = 30


class Page:
    """One report, open in a browser that records what it logs and loads."""

    def __init__(self, path, dark=False, width=1280, script=True, fragment=""):
        options = webdriver.ChromeOptions()
        for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={width},1000"]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
        command = self.driver.execute_cdp_cmd
        command("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        command("Emulation.setScriptExecutionDisabled", {"value": not script})
        self.url = pathlib.Path(path).resolve().as_uri()
        self.driver.get(self.url + fragment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def js(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def find(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def text(self, css):
        return self.find(css).text

    def rows(self, table):
        return self.driver.find_elements(By.CSS_SELECTOR, f"#{table}-rows tr")

    def until(self, what, holds):
        end = time.monotonic() + PATIENCE_S
        while not (value := holds()):
            if time.monotonic() > end:
                raise AssertionError(f"never came: {what}")
            time.sleep(0.02)
        return value

    def data(self):
        return self.js("return JSON.parse(document.getElementById('data').textContent)")

    def window(self):
        """The shown window in seconds, as the address has it."""
        found = re.search(r"#t=(-?[\d.]+),(-?[\d.]+)$", self.driver.current_url)
        assert found, f"the address has no window: {self.driver.current_url}"
        return float(found[1]), float(found[2])

    def axis(self):
        return [float(tick.replace("−", "-")) for tick in self.js(
            "return Array.from(document.querySelectorAll('#axis text'), (tick) => tick.textContent)")]

    def press(self, *keys):
        for key in keys:
            self.find("#canvas").send_keys(key)

    def tip(self):
        return self.text("#tip") if self.find("#tip").is_displayed() else ""

    def quiet(self):
        """Nothing on the console, and nothing loaded but the file."""
        said = self.driver.get_log("browser")
        assert not said, f"the console says {said}"
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                assert url.startswith((self.url.split("#")[0], "data:")), f"the page asked for {url}"

    def pixels(self):
        """How many colours the picture has: one if nothing was drawn."""
        return self.js(
            "const c=document.getElementById('canvas'),d=c.getContext('2d').getImageData(0,0,c.width,c.height).data,s=new Set();"
            "for(let i=0;i<d.length;i+=4*97)s.add(d[i]<<16|d[i+1]<<8|d[i+2]);return s.size"
        )


def undelta(packed):
    values = packed if isinstance(packed, list) else [v for v, n in zip(packed["r"][::2], packed["r"][1::2]) for _ in range(n)]
    total, out = 0, []
    for value in values:
        total += value
        out.append(total)
    return out


def renders(path):
    for dark in (False, True):
        for width in (1280, 700):
            with Page(path, dark, width) as page:
                page.until("the timeline is drawn", lambda: page.pixels() > 5)
                paper = page.js("return getComputedStyle(document.body).backgroundColor")
                light = sum(map(int, re.findall(r"\d+", paper)[:3])) > 384
                assert light != dark, f"the paper is {paper} with prefers-color-scheme: {'dark' if dark else 'light'}"
                shown = "dark-only" if dark else "light-only"
                for figure in page.driver.find_elements(By.CSS_SELECTOR, "figure:not(#paper, #paper *)"):
                    assert figure.is_displayed() == (shown in figure.get_attribute("class")), "charts fit the colour scheme"
                assert page.js("return [...document.querySelectorAll('#paper')].every(e=>!e.offsetParent)"), "the picture for paper is for paper"
                over = page.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert over <= 0, f"the page is {over} px too wide at {width} px"
                page.quiet()


def theme_can_be_chosen(path):
    with Page(path) as page:
        before = page.js("return getComputedStyle(document.body).backgroundColor")
        page.find("#theme").click()
        assert page.js("return getComputedStyle(document.body).backgroundColor") != before, "the button changes the theme"
        page.quiet()


def hover_tells(path):
    with Page(path) as page:
        page.until("the timeline is drawn", lambda: page.pixels() > 5)
        # A bar of the first Redis node.
        page.js("document.getElementById('plot').scrollIntoView({block:'start'})")
        mouse = ActionBuilder(page.driver)
        mouse.pointer_action.move_to_location(640, 52)
        mouse.perform()
        page.until("a bar tells its state", lambda: "since: " in page.tip() and "redis-1" in page.tip())
        assert page.find("#mark").is_displayed(), "a line shows what is told"
        page.quiet()


def keyboard_goes_through_events(path):
    with Page(path) as page:
        page.until("the timeline is drawn", lambda: page.pixels() > 5)
        for _ in range(60):
            page.driver.switch_to.active_element.send_keys(Keys.TAB)
            if page.js("return document.activeElement.id") == "canvas":
                break
        assert page.js("return document.activeElement.id") == "canvas", "the Tab key reaches the picture"
        page.press("0")
        whole = page.window()
        page.press("+", "+")
        near = page.window()
        assert near[1] - near[0] < (whole[1] - whole[0]) / 2, f"+ zooms: {whole} became {near}"
        page.press(Keys.ARROW_RIGHT)
        assert page.window()[0] > near[0], "the arrow pans"
        page.press("-", "-", "0")
        assert page.window() == whole, "0 shows the whole run"
        page.press("n")
        first = page.until("n tells a log line", page.tip)
        page.press("n")
        second = page.until("n goes on", lambda: page.tip() if page.tip() != first else "")
        assert page.text("#live"), "a screen reader is told as well"
        page.press("p")
        page.until("p goes back", lambda: page.tip() == first)
        page.press(Keys.ESCAPE)
        page.until("Esc closes", lambda: not page.tip())
        assert first != second
        page.quiet()


def causes_are_told(path):
    with Page(path) as page:
        data = page.data()
        times, texts = undelta(data["log"]["t"]), data["log"]["text"]
        if "causes" not in data:
            return
        place = next(i for i, cause in enumerate(data["log"]["cause"])
                     if times[i] > 0 and cause >= 0 and data["causes"]["before"][cause] >= 0)
        chain, link = [], data["log"]["cause"][place]
        while link >= 0 and len(chain) < 7:
            chain.append(data["causes"]["text"][link])
            link = data["causes"]["before"][link]
    with Page(path, fragment=f"#t={times[place] / 1e6}") as page:
        tip = page.until("a link to a moment tells its line", page.tip)
        assert any(text in tip for i, text in enumerate(texts) if times[i] == times[place]), f"{tip!r} is not the line there"
        said = page.driver.find_elements(By.CSS_SELECTOR, "#tip li")
        told = " ".join(item.text for item in said)
        assert all(text in told for text in chain), f"the causes {chain} are told, not {told!r}"
        page.quiet()


def links_lead_to_a_time(path):
    with Page(path, fragment="#t=1.25,3.5") as page:
        page.until("the timeline is drawn", lambda: page.pixels() > 5)
        from_s, to_s = page.window()
        assert abs(from_s - 1.25) < 0.01 and abs(to_s - 3.5) < 0.01, f"{from_s}, {to_s}"
        assert page.axis()[0] >= 1.2, "the axis shows that window"
        page.js("location.hash = '#t=5,7'")
        page.until("a changed address is followed", lambda: 4.9 < page.axis()[0] and page.axis()[-1] < 7.1)
        page.quiet()


def a_moment_shows_the_stack(path):
    """The link leads to the moment; keys step through the messages; every node stands in the picture."""
    for width in (1280, 390):
        with Page(path, width=width, fragment="#at=1.5") as page:
            page.until("the moment is drawn", lambda: page.text("#moment-time") == "1.500 s")
            nodes = page.js("return document.querySelectorAll('#moment-topology .node').length")
            lanes = page.js("return new Set(JSON.parse(document.getElementById('data').textContent).lanes.map((l) => l.node)).size")
            assert nodes == lanes, f"{nodes} of {lanes} nodes"
            if not page.js("return document.getElementById('moment-list')"):
                page.quiet()
                continue
            rows = page.js("return document.querySelectorAll('#moment-list .row').length")
            assert rows > 10, f"{rows} messages around the moment"
            view = page.find("#moment-view")
            view.send_keys(".")
            page.until("a step leads on", lambda: "#at=" in page.driver.current_url and page.text("#moment-time") != "1.500 s")
            after = float(page.driver.current_url.split("#at=")[1])
            assert 1.5 <= after < 100, f"the address says {after}"
            view.send_keys(",", ",")
            page.until("and back", lambda: float(page.driver.current_url.split("#at=")[1]) < after)
            assert page.js("return document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the page"
            page.quiet()


def ledger_can_be_filtered(path):
    with Page(path) as page:
        data, cause = page.data(), Select(page.find("#cause"))
        cause.select_by_value("all")
        total = len(undelta(data["messages"]["t"]))
        assert page.text("#ledger-count").startswith(f"{total} messages"), page.text("#ledger-count")
        assert len(page.rows("ledger")) == min(100, total), "a page of rows is in the document, not all"
        for number, loss in enumerate(data["causes_of_loss"]):
            if not loss["count"]:
                continue
            cause.select_by_value(str(number))
            count = int(page.text("#ledger-count").split()[0])
            assert count >= loss["count"], f"{loss['w']}: {count} rows, {loss['count']} in the sums"
            assert all(loss["w"] in row.text for row in page.rows("ledger")), f"only rows of {loss['w']} are shown"
            button = page.find(f'td[data-cause="{number}"] button')
            cause.select_by_value("all")
            button.click()
            assert cause.first_selected_option.get_attribute("value") == str(number), "a cause in the sums filters"
        cause.select_by_value("all")
        page.find("#seq").send_keys("7")
        assert all(row.text.startswith("7 ") for row in page.rows("ledger")) and page.rows("ledger"), "one SEQ"
        page.rows("ledger")[0].send_keys(Keys.ENTER)
        assert page.js("return document.activeElement.id") == "canvas", "a row leads to its place in the timeline"
        page.quiet()


def log_can_be_searched(path):
    with Page(path) as page:
        page.find("#log-text").send_keys("connect")
        texts = page.data()["log"]["text"]
        count = sum("connect" in text.lower() for text in texts)
        assert page.text("#log-count").startswith(f"{count} lines"), page.text("#log-count")
        Select(page.find("#log-node")).select_by_value("redis-1")
        assert all("redis-1" in row.text for row in page.rows("log")) and page.rows("log"), "one node's lines"
        page.rows("log")[0].send_keys(Keys.ENTER)
        page.until("a line leads to its place in the timeline", page.tip)
        page.quiet()


def readable_without_script(path):
    with Page(path, script=False) as page:
        body = page.text("body")
        for part in ["How to reproduce", "sim run", "Ledger of messages", "Where the time went"]:
            assert part in body, f"{part!r} is missing"
        assert page.find("#paper figure svg").is_displayed(), "the timeline is there as a picture"
        assert not page.find("#canvas").is_displayed(), "what needs a script is not shown"


CHECKS = [
    renders, theme_can_be_chosen, hover_tells, keyboard_goes_through_events, causes_are_told, links_lead_to_a_time,
    a_moment_shows_the_stack, ledger_can_be_filtered, log_can_be_searched, readable_without_script,
]

# What is put in the place of what, and the check that must find it.
PLANTED = [
    ("messages.cause[m] >= 0 ? data", "messages.cause[m] >= 1 ? data", ledger_can_be_filtered),
    ("c !== Number(wanted)", "c === Number(wanted)", ledger_can_be_filtered),
    ('canvas.addEventListener("mousemove"', 'canvas.addEventListener("mousewheel"', hover_tells),
    ("n: \"next\"", "n: \"prev\"", keyboard_goes_through_events),
    ("chosen.slice(page * PAGE, (page + 1) * PAGE)", "chosen", ledger_can_be_filtered),
    ("c = all.before[c])", "c = -1)", causes_are_told),
    ('window.addEventListener("hashchange", follow);', "", links_lead_to_a_time),
    ("@media (prefers-color-scheme: dark) { :root:not([data-theme=light]) { color-scheme: dark;", "@media print { :root {", renders),
    ('"use strict";', '"use strict"; console.warn("planted");', theme_can_be_chosen),
    ('"use strict";', '"use strict"; fetch("http://127.0.0.1:9/planted").catch(() => {});', theme_can_be_chosen),
    ('"#at=" + (t / 1e6)', '"#at=" + (t / 1e3)', a_moment_shows_the_stack),
]


def run(name, check, path):
    begin = time.monotonic()
    try:
        check(path)
    except Exception as error:  # whatever it is, the check did not pass
        place = traceback.extract_tb(error.__traceback__)[-1]
        print(f"FAILED {name}: {type(error).__name__}: {str(error).splitlines()[0]} (line {place.lineno})")
        return False
    print(f"ok {name} ({time.monotonic() - begin:.1f} s)")
    return True


def planted(path):
    """Every planted mistake is found."""
    global PATIENCE_S
    PATIENCE_S = 5  # what a mistake keeps from coming is not waited for
    page, found, missed = pathlib.Path(path).read_text(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for good, bad, check in PLANTED:
            assert good in page, f"{good!r} is not in the report any more: mend the list of planted mistakes"
            wrong = pathlib.Path(folder) / "report.html"
            wrong.write_text(page.replace(good, bad))
            try:
                check(wrong)
            except Exception as error:
                found += 1
                print(f"ok found by {check.__name__}: {bad} ({str(error).splitlines()[0]})")
            else:
                missed += 1
                print(f"FAILED: {check.__name__} does not find {bad}")
    return found, missed


def main(arguments):
    passed = failed = 0
    if arguments[:1] == ["--planted"]:
        passed, failed = planted(arguments[1])
    else:
        for path in arguments:
            folder = pathlib.Path(path).parent.name
            for check in CHECKS:
                good = run(f"{folder}: {check.__name__.replace('_', ' ')}", check, path)
                passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
