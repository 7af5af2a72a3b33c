"""One page of a headless Chromium, driven through its DevTools protocol: open, click, wait, look.

``websockets`` comes with Prefect; it is all that the protocol needs.
"""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
SETTLED_SECONDS = 3.0
PATIENCE_SECONDS = 60.0  # a busy machine draws a page in 10
CLICKS = 4

# The innermost visible elements that show the text, those that show nothing else first; the middle of the first.
PLACE = """(text => {
  const visible = [...document.querySelectorAll('body *')].filter(e => e.getClientRects().length && e.innerText?.includes(text));
  const inner = visible.filter(e => !visible.some(other => other !== e && e.contains(other)));
  const element = inner.find(e => e.innerText.trim() === text) ?? inner[0];
  if (!element) return null;
  element.scrollIntoView({block: 'center'});
  const box = element.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})"""


CHOOSE = """(text => {
  const option = [...document.querySelectorAll('option')].find(option => option.text === text);
  if (!option) return false;
  option.selected = true;
  for (const kind of ['input', 'change']) option.parentElement.dispatchEvent(new Event(kind, {bubbles: true}));
  return true;
})"""


class Browser:
    """``with Browser() as browser: browser.open(url); browser.see("text")``."""

    def __init__(self) -> None:
        """Start it, with an empty page."""
        self._profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={self._profile.name}", "--remote-debugging-port=0", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = Path(self._profile.name) / "DevToolsActivePort"
        port, path = wait_for(lambda: port_file.exists() and len(lines := port_file.read_text().splitlines()) == 2 and lines)
        self._line = connect(f"ws://127.0.0.1:{port}{path}", max_size=None, ping_interval=None)
        self._session: str | None = None
        self._messages = 0
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.size(1400, 1000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self._process.terminate()
        self._process.wait()
        self._profile.cleanup()

    def size(self, width: int, height: int) -> None:
        """Pixels of the window."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, url: str) -> None:
        """Go to a page."""
        self._call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """Value of an expression of JavaScript in the page."""
        return self._call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def text(self) -> str:
        """What the page shows."""
        return str(self.run("document.body ? document.body.innerText : ''"))

    def see(self, *texts: str) -> None:
        """Wait until the page shows all of them."""
        wait_for(lambda: self._shows(texts), lambda: f"not all of {texts} in:\n{self.text()[:5000]}")

    def click(self, text: str, *then: str) -> None:
        """Click what shows the text, once it is there, and wait for what the page shows ``then``; a page that draws itself anew meanwhile
        loses a click, so some more are made where nothing comes of it."""
        place = f"{PLACE}({json.dumps(text)})"
        wait_for(lambda: self.run(place), lambda: f"nothing shows {text!r}:\n{self.text()[:5000]}")
        for _ in range(CLICKS):
            if found := self.run(place):
                self._press(*found)
            with suppress(AssertionError):
                wait_for(lambda: self._shows(then), seconds=PATIENCE_SECONDS / CLICKS)
                return
        self.see(*then)

    def choose(self, option: str) -> None:
        """Select an option of a list, once it is there."""
        wait_for(lambda: self.run(f"{CHOOSE}({json.dumps(option)})"), lambda: f"no option {option!r}:\n{self.text()[:5000]}")

    def link(self, text: str) -> str:
        """Where the first link that shows the text leads."""
        script = f"[...document.querySelectorAll('a')].find(link => link.innerText.trim() === {json.dumps(text)})?.href"
        return str(wait_for(lambda: self.run(script), lambda: f"no link {text!r}:\n{self.text()[:5000]}"))

    def picture(self, path: Path) -> None:
        """The window as a PNG file, once it has stopped changing."""
        before = ""
        while before != (now := self._call("Page.captureScreenshot", format="png")["data"]):
            before = now
            time.sleep(SETTLED_SECONDS)
        path.write_bytes(base64.b64decode(now))

    def _shows(self, texts: Sequence[str]) -> bool:
        shown = self.text()
        return all(text in shown for text in texts)

    def _press(self, x: float, y: float) -> None:
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def _call(self, method: str, **params: Any) -> Any:
        self._messages += 1
        message = {"id": self._messages, "method": method, "params": params} | ({"sessionId": self._session} if self._session else {})
        self._line.send(json.dumps(message))
        while (answer := json.loads(self._line.recv(PATIENCE_SECONDS))).get("id") != self._messages:
            pass  # events
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]


def wait_for(
    true: Callable[[], Any], otherwise: Callable[[], str] = lambda: "it did not come true", seconds: float = PATIENCE_SECONDS
) -> Any:
    """The first value that is true."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.1)
    return value
