"""From HTML to text that a model reads: headings, lists, links, tables, and nothing that a browser would not show."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from time import monotonic
from urllib.parse import urljoin

__all__ = ["read_page"]

_SILENT = frozenset({"script", "style", "noscript", "template", "svg", "math", "iframe", "object", "select", "canvas"})
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption"),
        *("figure", "footer", "form", "header", "hr", "main", "nav", "ol", "p", "pre", "section", "summary", "table", "ul"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "li", "tr", "br", "title", "caption"),
    }
)
_VOID = frozenset(
    {*("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")}
)
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])", re.I
)
_SPACES = re.compile(r"[ \t\n\r\f\v\xa0]+")
_MIN_MAIN = 200
_PIECE = 65_536
_PATIENCE = 5.0
_MAX_LINK = 500


def read_page(html: str, url: str) -> tuple[str, str]:
    """Return the title and the text of a page.

    What is hidden is left out. If the page says which part is its main one, only that part is returned. A page that
    takes longer than some seconds is cut there, with a remark.

    Args:
        html: The page; it may be cut or broken.
        url: Its address, to which links are relative.
    """
    reader = _Reader(url)
    deadline = monotonic() + _PATIENCE
    end = 0
    while end < len(html) and monotonic() < deadline:
        reader.feed(html[end : end + _PIECE])  # without close(): what is unfinished at the end is no text
        end += _PIECE
    remark = "\n[the rest of the page takes too long to read]" if end < len(html) else ""
    return reader.title(), reader.text() + remark


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._url = url
        self._parts: list[str] = []
        self._title: list[str] = []
        self._main: list[list[str]] = []
        self._silent_tag = ""
        self._silent_depth = 0
        self._in_title = False
        self._pre = 0
        self._links: list[str] = []

    def title(self) -> str:
        return _SPACES.sub(" ", "".join(self._title)).strip()[:300]

    def text(self) -> str:
        main = _tidy("\n".join("".join(parts) for parts in self._main))
        return main if len(main) >= _MIN_MAIN else _tidy("".join(self._parts))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._silent_tag:
            self._silent_depth += tag == self._silent_tag
            return
        named = {name: value or "" for name, value in attrs}
        if (tag in _SILENT or _is_hidden(named)) and tag not in _VOID:
            self._silent_tag, self._silent_depth = tag, 1
        elif not _is_hidden(named):
            self._begin(tag, named)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if self._silent_tag:
            self._silent_depth -= tag == self._silent_tag
            if not self._silent_depth:
                self._silent_tag = ""
            return
        if tag == "a" and self._links:
            link = self._links.pop()
            self._write(f"]({link})" if link else "")
        elif tag == "main":
            self._main.append([])
            self._parts.append("\n")
        elif tag in _BLOCKS:
            self._write("\n")
        self._pre -= tag == "pre" and self._pre > 0

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._title.append(data)
        elif not self._silent_tag:
            self._write(data if self._pre else _SPACES.sub(" ", data))

    def _begin(self, tag: str, named: dict[str, str]) -> None:
        if tag == "main":
            self._main.append([""])
        if tag in _BLOCKS:
            self._write("\n" + _HEADINGS.get(tag, "- " if tag == "li" else ""))
        elif tag in ("td", "th"):
            self._write(" | ")
        elif tag == "a":
            self._links.append(self._resolve(named.get("href", "")))
            self._write("[" if self._links[-1] else "")
        elif tag == "img" and named.get("alt", "").strip():
            self._write(f"[picture: {_SPACES.sub(' ', named['alt']).strip()[:200]}]")
        self._pre += tag == "pre"
        self._in_title |= tag == "title"

    def _resolve(self, href: str) -> str:
        """Return the full address of a link; nothing for what leads to no page."""
        if not href or href.startswith("#") or len(href) > _MAX_LINK:
            return ""
        try:
            full = urljoin(self._url, href.strip())
        except ValueError:
            return ""
        return full if full.startswith(("http://", "https://")) else ""

    def _write(self, text: str) -> None:
        self._parts.append(text)
        if self._main and self._main[-1]:
            self._main[-1].append(text)


def _is_hidden(named: dict[str, str]) -> bool:
    return "hidden" in named or named.get("aria-hidden") == "true" or bool(_HIDDEN_STYLE.search(named.get("style", "")))


def _tidy(text: str) -> str:
    lines = (line.strip() if not line.startswith("    ") else line.rstrip() for line in text.split("\n"))
    kept: list[str] = []
    for line in lines:
        if (line and line != "-") or (kept and kept[-1]):
            kept.append("" if line == "-" else line)
    return "\n".join(kept).strip()
