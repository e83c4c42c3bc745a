"""A dashboard in this process, and a browser that looks at it."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from largebatch.studies.views.dashboard.app import make_app
from largebatch.studies.views.dashboard.guard import guard
from largebatch.studies.views.dashboard.reading.library import Library

CHROMIUM = "/usr/bin/chromium"
PATIENCE_MILLISECONDS = 45_000
"""For a slow and loaded machine; nothing waits so long where all is well."""


@pytest.fixture(scope="session")
def made_up(module_beside: Callable[[str, str], ModuleType]) -> ModuleType:
    """The made-up studies beside this file."""
    return module_beside(__file__, "made_up")


@contextmanager
def served(root: Path, token: str | None) -> Iterator[str]:
    with Library(root) as library:
        app = make_app(library, token)
        guard(app.server, "127.0.0.1", app.csp_hashes())
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = make_server("127.0.0.1", 0, app.server, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a folder for the length of a test; the address."""
    with ExitStack() as stack:
        yield lambda root, token=None: stack.enter_context(served(root, token))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Ended with each file: while Playwright is there, an event loop runs in this thread; no test can run another."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page that fails its test for an error in the console, or a request to anywhere but the dashboard."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    shown = context.new_page()
    wrong: list[str] = []
    shown.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    shown.on("pageerror", lambda error: wrong.append(str(error)))
    shown.on("request", lambda request: wrong.append(request.url) if _is_elsewhere(request.url) else None)
    yield shown
    context.close()
    assert wrong == []


def _is_elsewhere(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:"))
