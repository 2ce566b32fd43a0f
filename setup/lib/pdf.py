"""What ``setup/bin/wkhtmltopdf`` does: print Odoo's report pages with Chromium.

Odoo hands over one HTML file per document, one with all headers and one with all
footers. Each document is printed with the margins asked for; then its header and
footer are printed once per page, in the address' query told which page it is (Odoo's
own script picks the right one), and laid over. Odoo splits a batch by its outline,
so each document gets an entry.
"""

import io
import re
from pathlib import Path

from PyPDF2 import PdfReader, PdfWriter
from PyPDF2.generic import (
    ArrayObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    TextStringObject,
)

from .browser import Browser

VERSION = "wkhtmltopdf 0.12.6"
PAIRS = {"cookie", "custom-header", "post"}  # options with a name and a value
SWITCHES = {"quiet", "disable-local-file-access", "disable-smart-shrinking"}
SWITCHES |= {"header-line", "footer-line", "enable-local-file-access"}
MM = 1 / 25.4  # in inches, as DevTools wants it
SIZES = {  # mm
    "A3": (297, 420),
    "A4": (210, 297),
    "A5": (148, 210),
    "A6": (105, 148),
    "B4": (250, 353),
    "B5": (176, 250),
    "Letter": (215.9, 279.4),
    "Legal": (215.9, 355.6),
    "Tabloid": (279.4, 431.8),
}
SCALE = 0.8  # what Odoo's report styles are drawn for
# pages are laid over each other, so they must be glass; and as wide as the paper
STYLE = "<style>html, body { background: none !important; }"
STYLE += " body.container { max-width: none !important; }</style>"


def main(arguments):
    if "--version" in arguments or "-V" in arguments:
        print(VERSION)
        return 0
    options, files = parse(arguments)
    *bodies, output = files
    with Browser() as browser:
        printer = Printer(browser.page(), options)
        Path(output).write_bytes(printer.print_all(bodies))
    return 0


def parse(arguments):
    """Return ``({option: value}, [file, …])`` of a wkhtmltopdf command line."""
    options, files = {}, []
    rest = iter(arguments)
    for argument in rest:
        name = argument[2:]
        if not argument.startswith("--"):
            files.append(argument)
        elif name in SWITCHES:
            options[name] = True
        elif name in PAIRS:
            options[name] = (next(rest), next(rest))
        else:
            options[name] = next(rest)
    return options, files


def _parse_cookie(text):
    """Return ``(name, value)`` of the first cookie in ``text``, if there is any."""
    name, _, value = (text or "").partition(";")[0].partition("=")
    return (name, value) if name else None


def millimetres(value):
    """Return the number in ``"40"``, ``"40.0"`` or ``"40mm"``."""
    return float(str(value).removesuffix("mm"))


class Printer:
    def __init__(self, page, options):
        self._page = page
        self._header = self._read(options.get("header-html"))
        self._footer = self._read(options.get("footer-html"))
        self._cookie = options.get("cookie") or _parse_cookie(
            self._read(options.get("cookie-jar"))
        )
        size = SIZES.get(options.get("page-size", "A4"), SIZES["A4"])
        self._width = millimetres(options.get("page-width", size[0]))
        self._height = millimetres(options.get("page-height", size[1]))
        if options.get("orientation", "").lower() == "landscape":
            self._width, self._height = self._height, self._width
        self._margins = {
            side: millimetres(options.get(f"margin-{side}", 10))
            for side in ("top", "bottom", "left", "right")
        }
        self._header_top = max(
            0, self._margins["top"] - millimetres(options.get("header-spacing", 0))
        )
        self._origin = "http://localhost"

    @staticmethod
    def _read(path):
        return Path(path).read_text() if path else ""

    def print_all(self, bodies):
        """Return the PDF of all documents, one after the other."""
        writer = PdfWriter()
        starts = []
        for path in bodies:
            starts.append(len(writer.pages))
            body = Path(path).read_text()
            self._find_origin(body)
            pages = self._print(body, **self._margins)
            for number, page in enumerate(pages, start=1):
                self._lay_over(page, Path(path).name, number, len(pages))
                writer.add_page(page)
        _write_outline(writer, starts)
        output = io.BytesIO()
        writer.write(output)
        return output.getvalue()

    def _find_origin(self, body):
        """Print under the address of the server, so that styles and images load."""
        if found := re.search(r'<base href="(https?://[^"/]+)', body):
            self._origin = found[1]
        if self._cookie:
            name, value = self._cookie
            cookie = {"name": name, "value": value, "url": self._origin}
            self._page.call("Network.setCookie", **cookie)

    def _lay_over(self, page, document, number, count):
        """Add header and footer of one page, whose scripts read the query."""
        query = f"webpage={document}&page={number}&topage={count}"
        query += f"&sitepage={number}&sitepages={count}"
        margins = dict(self._margins, bottom=0)
        if self._header:
            margins["top"] = self._header_top
            page.merge_page(self._print(self._header, query, **margins)[0])
        if self._footer:
            margins["top"] = self._height - self._margins["bottom"]
            page.merge_page(self._print(self._footer, query, **margins)[0])

    def _print(self, html, query="", **margins):
        self._page.open_as(f"{self._origin}/report?{query}", html + STYLE)
        pdf = self._page.pdf(
            paperWidth=self._width * MM,
            paperHeight=self._height * MM,
            scale=SCALE,
            **{f"margin{side.title()}": mm * MM for side, mm in margins.items()},
        )
        return PdfReader(io.BytesIO(pdf)).pages


def _write_outline(writer, starts):
    """Add one outline entry per document, in the form that Odoo reads.

    That is: named destinations in the catalog, each an array that begins with the
    *number* of a page.
    """
    if len(starts) < 2:
        return
    names = [NameObject(f"/document{index}") for index in range(len(starts))]
    entries = [
        DictionaryObject(
            {
                NameObject("/Title"): TextStringObject(name[1:]),
                NameObject("/Dest"): name,
            }
        )
        for name in names
    ]
    references = [writer._add_object(entry) for entry in entries]
    for entry, following in zip(entries, references[1:], strict=False):
        entry[NameObject("/Next")] = following
    outlines = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Outlines"),
            NameObject("/First"): references[0],
            NameObject("/Last"): references[-1],
            NameObject("/Count"): NumberObject(len(references)),
        }
    )
    outlines_reference = writer._add_object(outlines)
    for entry in entries:
        entry[NameObject("/Parent")] = outlines_reference
    destinations = {
        name: ArrayObject([NumberObject(start), NameObject("/Fit")])
        for name, start in zip(names, starts, strict=True)
    }
    root = writer._root_object
    root[NameObject("/Outlines")] = outlines_reference
    root[NameObject("/Dests")] = DictionaryObject(destinations)
