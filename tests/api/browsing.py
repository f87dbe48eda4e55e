"""Debian's Chromium, driven by Playwright: started fresh, talking to nobody but the API under test."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

REQUIRED = "TRAVELHUB_REQUIRE_BROWSER"
"""Set it where a missing Chromium shall be a failure and not a skip."""
_ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def chromium() -> str:
    """Where it is; skips the test where there is none, or fails it where one is required."""
    found = shutil.which("chromium")
    if found is None:
        reason = "there is no chromium here: install Debian's package `chromium` to test the trip page in a browser"
        if os.environ.get(REQUIRED):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@asynccontextmanager
async def browser_started() -> AsyncIterator[Browser]:
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        await browser.close()
