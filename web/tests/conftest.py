"""What the page's tests share: the page behind a web server, and Debian's Chromium without a window.

make test-web runs them; they are no part of make test. Needed: chromium, chromium-driver, python3-selenium, and
for accessibility npm, which fetches axe-core once.
"""

import functools
import http.server
import json
import os
import pathlib
import re
import subprocess
import threading

import pytest

from ringside.emulators.machines import BUILD

selenium = pytest.importorskip("selenium", reason="apt-get install python3-selenium, or sh scripts/setup --web")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402

WEB = pathlib.Path(os.environ.get("RINGPONG_PAGE", BUILD / "web"))     # web/tests/breakages/run has others
ROOM = BUILD / "web-tests"
AXE = "4.10.2"
SIZES = {"wide": (1280, 800), "tablet": (820, 1180), "narrow": (390, 844)}


class Handler(http.server.SimpleHTTPRequestHandler):
    """The page's folder, and below /raw/ the recordings as the recorder wrote them."""

    def translate_path(self, path):
        name = path.split("?")[0].split("#")[0]
        if name.startswith("/raw/"):
            return str(BUILD / "web-runs" / pathlib.Path(name).name)
        return super().translate_path(path)

    def log_message(self, *words):
        self.server.asked.append(words)


ENGINE = WEB / "bochs.wasm"
OF_THE_ENGINE = re.compile(r"/(?:bochs\.(?:wasm|js)|bios|vgabios|floppy\.img) - Failed to load resource")


class Browser(webdriver.Chrome):
    """Chromium; every wait has an end."""

    def size(self, name):
        width, height = SIZES[name]
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                             {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": name == "narrow"})

    def theme(self, name):
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]})

    def open(self, url, until="return Boolean(window.ringpong)"):
        self.get("about:blank")
        self.get(url)
        self.wait(until)

    def run(self, script, *arguments):
        """What an asynchronous function of JavaScript's returns."""
        answer = self.execute_async_script(
            "const done = arguments[arguments.length - 1]; const given = [...arguments].slice(0, -1);"
            f"(async (...given) => {{ {script} }})(...given).then((value) => done({{value}}), (error) => done({{error: String(error.stack || error)}}))",
            *arguments)
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def wait(self, script, seconds=20):
        self.run("const [script, seconds] = given; const test = new Function(script); const end = Date.now() + 1000 * seconds;"
                 "while (!test()) { if (Date.now() > end) throw new Error(`never so: ${script}`);"
                 "await new Promise((next) => setTimeout(next, 20)); }", script, seconds)

    def errors(self):
        """What the page has complained of; of its engine's files only if they are there (test_live.py skips without)."""
        said = [entry["message"] for entry in self.get_log("browser") if entry["level"] == "SEVERE"]
        return [one for one in said if ENGINE.exists() or not OF_THE_ENGINE.search(one)]


def start(javascript=True):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,800",
                     "--disable-background-networking", "--lang=en"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not javascript:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    browser = Browser(service=Service("/usr/bin/chromedriver"), options=options)
    browser.set_script_timeout(120)
    browser.set_page_load_timeout(60)
    browser.size("wide")
    return browser


@pytest.fixture(scope="session")
def site():
    """The address of build/web/ behind a web server."""
    assert (WEB / "index.html").exists(), "make web comes first"
    handler = functools.partial(Handler, directory=str(WEB))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


@pytest.fixture(scope="session")
def chromium():
    browser = start()
    yield browser
    browser.quit()


@pytest.fixture
def page(chromium, site):
    """The browser, wide and light."""
    chromium.size("wide")
    chromium.theme("light")
    chromium.get_log("browser")
    chromium.site = site
    yield chromium
    assert chromium.errors() == []


@pytest.fixture(scope="session")
def runs():
    """What ringside/web/runs.py has made: [{"name", ...}]"""
    return json.loads((WEB / "data.json").read_text())["runs"]


@pytest.fixture(scope="session")
def axe():
    """axe-core's source."""
    source = ROOM / "package/axe.min.js"
    if not source.exists():
        ROOM.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", f"axe-core@{AXE}"], cwd=ROOM, check=True, timeout=120, capture_output=True)
        subprocess.run(["tar", "-xzf", f"axe-core-{AXE}.tgz", "package/axe.min.js"], cwd=ROOM, check=True)
    return source.read_text()


def crossing(name):
    """The step of a run that is shown first: where it lies depends on the compiler."""
    data = WEB / "data.json"
    return next(run["open"] for run in json.loads(data.read_text())["runs"] if run["name"] == name) if data.exists() else 0


INT = crossing("p_proc")    # A's int 0x30
