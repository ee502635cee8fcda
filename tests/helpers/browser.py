"""Chromium driven through its debugging pipe: keys, scripts, screenshots and downloads, without further packages."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-pipe",
)
# Chromium reads commands from file descriptor 3, and writes replies to 4; both may be in use here.
_LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
_CODES = {" ": "Space", "Enter": "Enter", "Tab": "Tab", "Escape": "Escape"}
_VIRTUAL = {" ": 32, "Enter": 13, "Tab": 9, "Escape": 27}


class Browser:
    """A headless Chromium with one page; use as a context manager.

    The pipe of the DevTools protocol (https://chromedevtools.github.io/devtools-protocol) carries JSON messages that
    end with a zero byte.

    Args:
        profile: Folder of the profile; browsers with the same profile share the pages' storage.
        size: Width and height of the page in CSS pixels.
    """

    def __init__(self, profile: Path, size: tuple[int, int] = (1280, 900)):
        self._profile, self._size = profile, size
        self._number = 0
        self._buffer = b""
        self._session: str | None = None

    def __enter__(self) -> Browser:
        commands, self._commands = os.pipe()
        self._replies, replies = os.pipe()
        command = [sys.executable, "-c", _LAUNCH, str(commands), str(replies), CHROMIUM or "chromium", *_OPTIONS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={self._profile}", "about:blank"],
            pass_fds=(commands, replies),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(replies)
        targets = self.wait_for(
            lambda: [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        )
        attached = self.call("Target.attachToTarget", targetId=targets[0]["targetId"], flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable")
        self.resize(*self._size)
        return self

    def __exit__(self, *_: object) -> None:
        self._session = None
        try:
            self.call("Browser.close")
        except OSError:
            self._process.kill()
        self._process.wait(30)
        os.close(self._commands)
        os.close(self._replies)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            reply = self._read()
            if reply.get("id") == self._number:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']['message']}")
                return dict(reply["result"])

    def open(self, file: Path) -> None:
        """Open a file, and wait until it is loaded."""
        self.call("Page.navigate", url=file.absolute().as_uri())
        self.wait_for(lambda: self._is_true("document.readyState === 'complete'"))

    def reload(self) -> None:
        """Reload the page, and wait until it is loaded."""
        self.evaluate("window.isOldPage = true")
        self.call("Page.reload")
        self.wait_for(lambda: self._is_true("document.readyState === 'complete' && !window.isOldPage"))

    def evaluate(self, expression: str) -> Any:
        """Evaluate JavaScript, awaiting a promise; the value must be JSON."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def _is_true(self, expression: str) -> bool:
        """Whether an expression is true; not while the page is being replaced by another."""
        try:
            return self.evaluate(expression) is True
        except RuntimeError as error:
            if "navigated" in str(error) or "context" in str(error):
                return False
            raise

    def press(self, *keys: str) -> None:
        """Press keys one after another, as a keyboard does."""
        for key in keys:
            event: dict[str, Any] = {"key": key, "code": _CODES.get(key, "")}
            if key in _VIRTUAL:
                event["windowsVirtualKeyCode"] = _VIRTUAL[key]
            text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **event, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def resize(self, width: int, height: int) -> None:
        """Set the size of the page in CSS pixels, also below the smallest window."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """Write a PNG of what is visible, or of the whole page."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(found["data"]))

    def download_to(self, folder: Path) -> None:
        """Let downloads go to a folder."""
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def wait_for(self, condition: Any, seconds: float = 60) -> Any:
        """Wait until a condition has a true value, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.05)
        raise TimeoutError(f"not true within {seconds:.0f} s")

    def _read(self, seconds: float = 60) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._replies], [], [], seconds)[0]:
                raise TimeoutError(f"no answer of the browser within {seconds:.0f} s")
            part = os.read(self._replies, 1 << 20)
            if not part:
                raise OSError("the browser ended")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))
