"""Pages in a real browser: headless Chromium without a network, for tests; skipped where it is missing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1120,1250",
            "--host-resolver-rules=MAP * ~NOTFOUND")  # fmt: skip
DEEP = """
const find = (root) => {
  for (const node of root.querySelectorAll("*")) {
    if (node.matches(arguments[0])) found.push(node)
    if (node.shadowRoot) find(node.shadowRoot)
  }
}
const found = []
find(document)
return found
"""


class Browser:
    """An open page of Bokeh's."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def model(self, name: str, what: str) -> Any:
        """`what` of the model of that name, such as "value" or "data"."""
        return self.driver.execute_script(f"return Bokeh.documents[0].get_model_by_name({name!r}).{what}")

    def set(self, name: str, value: float) -> None:
        """Move the slider of that name."""
        self.driver.execute_script(f"Bokeh.documents[0].get_model_by_name({name!r}).value = {value!r}")

    def images(self, name: str) -> list[list[float]]:
        """The pixels of each image of a source, row by row from below."""
        script = f"return Bokeh.documents[0].get_model_by_name({name!r}).data.image.map((one) => Array.from(one))"
        return self.driver.execute_script(script)

    def elements(self, selector: str) -> list[Any]:
        """Elements of the page, those of Bokeh's shadow roots included, in order."""
        return self.driver.execute_script(DEEP, selector)

    def text(self) -> str:
        """What the paragraphs and tables of the page say."""
        return "\n".join(one.text for one in self.elements(".bk-clearfix"))

    def mistakes(self) -> list[str]:
        """Errors and warnings of the console."""
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]

    def fetched(self) -> list[str]:
        """What the page asked the network for."""
        return self.driver.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")


@contextmanager
def opened(page: Path, seconds: float = 60.0) -> Iterator[Browser]:
    """The page once Bokeh has drawn it."""
    pytest.importorskip("selenium", reason="selenium is not installed (pip install 'hyperopt_hn[dev]')")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("Chromium and its driver are not installed (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in SWITCHES:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        driver.get(page.resolve().as_uri())
        end = time.monotonic() + seconds
        while not driver.execute_script("return window.Bokeh?.documents?.[0]?.is_idle === true"):
            assert time.monotonic() < end, driver.get_log("browser")
            time.sleep(0.05)
        yield Browser(driver)
    finally:
        driver.quit()
