"""The report as a browser sees it: nothing fetched, nothing run, nothing cut off, the figures there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from components.reporting.page import build_page
from components.reporting.results import Results
from tests.reporting_example import gather_example, write_example

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.ui, pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return gather_example(write_example(tmp_path_factory.mktemp("run")))


def browse(page: str, folder: Path, *options: str) -> tuple[str, str, str]:
    """Open a page; returns the document after loading, the console, and the log of requests."""
    file, requests = folder / "index.html", folder / "requests.json"
    file.write_text(page, encoding="utf-8")
    quiet = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    private = [f"--user-data-dir={folder / 'profile'}", f"--log-net-log={requests}", "--enable-logging=stderr"]
    command = [str(BROWSER), *quiet, *private, *options, "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return done.stdout, console, requests.read_text(encoding="utf-8")


def test_page_opens_without_errors_or_requests(results: Results, tmp_path: Path) -> None:
    page = build_page(results)
    document, console, requests = browse(page, tmp_path)
    assert console == ""
    assert "example.invalid" not in requests  # the address that a hostile document names
    assert "<script" not in document
    figure = '<svg xmlns="http://www.w3.org/2000/svg" class="figure"'
    assert document.count(figure) == page.count(figure) > 0  # none cut off by what stands before it
    score = results.forecast_score
    for number in (results.evaluation.bits_per_byte.target, score.loss_nats, score.actual_loss_nats):
        assert f"{number:.3f}" in document
    assert "What the papers claim, and what this run shows" in document


def test_the_watch_sees_requests_and_errors(tmp_path: Path) -> None:
    page = "<img src=http://example.invalid/x.png><script>nonsense()</script>"
    _, console, requests = browse(page, tmp_path)
    assert "example.invalid" in requests and "nonsense" in console


def test_page_does_not_scroll_sideways_on_a_narrow_screen(results: Results, tmp_path: Path) -> None:
    measure = "<script>document.title = document.documentElement.scrollWidth + ' in ' + window.innerWidth</script>"
    page = re.sub(r"<meta http-equiv[^>]*>", "", build_page(results)).replace("</body>", f"{measure}</body>")
    document, _, _ = browse(page, tmp_path, "--window-size=500,2000", "--hide-scrollbars")
    found = re.search(r"<title>(\d+) in (\d+)</title>", document)
    assert found and found[1] == found[2]
