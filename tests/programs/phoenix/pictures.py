"""Pictures of Phoenix's web page, taken with headless Chromium: the calls, and one of them.

usage: pictures.py URL PROJECT CHROMIUM FOLDER      (writes backend.png and backend-call.png)

Nothing is drawn into the page: columns that tell nothing here are hidden as a user would, with a click.
"""

import json
import pathlib
import sys
import urllib.request

from playwright.sync_api import sync_playwright

ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LIST = {"width": 1240, "height": 780}
CALL = {"width": 1240, "height": 1480}
HIDDEN = ["status", "input", "output", "error", "user", "annotations", "cumulative cost"]
# Of the attributes of a call, those whose name or value contains this.
SHOWN = "gen_ai."
# Phoenix has drawn what it has to show well before.
DRAWN_MS = 1500


def project_page(url, project):
    with urllib.request.urlopen(f"{url}/v1/projects/{project}") as answer:
        return f"{url}/projects/{json.load(answer)['data']['id']}/spans"


def calls(page, address, file):
    page.set_viewport_size(LIST)
    page.goto(address)
    page.get_by_role("button", name="Columns").click()
    for name in HIDDEN:
        page.get_by_role("checkbox", name=name, exact=True).locator("xpath=ancestor::label").click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Hide aside panel").click()
    page.get_by_role("button", name="Collapse side navigation").click()
    page.wait_for_timeout(DRAWN_MS)
    page.screenshot(path=file)


def call(page, file):
    page.set_viewport_size(CALL)
    page.locator("tbody").get_by_role("link").first.click()
    page.get_by_role("button", name="Attributes").click()
    page.get_by_role("button", name="Search JSON keys and values").click()
    page.get_by_placeholder("Search attributes").fill(SHOWN)
    page.wait_for_timeout(DRAWN_MS)
    page.screenshot(path=file)


def main(url, project, chromium, folder):
    folder = pathlib.Path(folder)
    with sync_playwright() as playwright:
        # As root, which the tracer needs, Chromium has no sandbox; the page is of this machine.
        browser = playwright.chromium.launch(
            executable_path=chromium, args=ARGUMENTS, chromium_sandbox=False
        )
        page = browser.new_page(reduced_motion="reduce")
        calls(page, project_page(url, project), folder / "backend.png")
        call(page, folder / "backend-call.png")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
