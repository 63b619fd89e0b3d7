"""Makes docs/pictures/demo.png of what the demo wrote to a terminal. Run by hand, with the environment
that `cargo xtask demo --backend` makes (rich reads the colours, playwright drives Chromium):

    script -qec "stty cols 132; cargo xtask demo --once" demo.typescript
    target/phoenix/bin/python docs/pictures/terminal.py demo.typescript docs/pictures/demo.png

Every line from the demo's first on is in the picture, as it was written; what cargo and the set-up
wrote before is not.
"""

import io
import sys

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

# No line is wider: they are broken already, for the terminal that they were written to.
WIDEST = 200
FIRST = "• a real LLM"
COMMAND = "\x1b[1m$ cargo xtask demo --once\x1b[0m"
PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>{stylesheet}
body {{ margin: 0; background: {background}; color: {foreground}; }}
pre {{ display: inline-block; margin: 0; padding: 14px 18px; line-height: 1.35;
       font: 13px "DejaVu Sans Mono", monospace; }}
</style><body><pre><code style="font: inherit">{code}</code></pre>"""


def written(path):
    with open(path, encoding="utf-8", newline="") as file:
        lines = file.read().replace("\r\n", "\n").split("\n")
    start = next(n for n, line in enumerate(lines) if line.startswith(FIRST))
    end = next(n for n, line in enumerate(lines) if line.startswith("Script done"))
    return "\n".join([COMMAND, *lines[start:end]]).rstrip()


def main(typescript, picture):
    console = Console(record=True, width=WIDEST, file=io.StringIO(), color_system="truecolor")
    console.print(Text.from_ansi(written(typescript)), soft_wrap=True, highlight=False)
    html = console.export_html(theme=MONOKAI, code_format=PAGE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", chromium_sandbox=False
        )
        page = browser.new_page(device_scale_factor=1.5)
        page.set_viewport_size({"width": 1400, "height": 800})
        page.set_content(html)
        page.locator("pre").screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
