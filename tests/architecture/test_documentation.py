"""The documentation names everything there is, and nothing that is not."""

from __future__ import annotations

import re

from ergaster.catalog import KINDS
from ergaster.hookspecs import LifecycleSpecs

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def _pages(tracked_files):
    return [path for path in tracked_files if path.suffix == ".md"]


def test_links_lead_somewhere(root, tracked_files):
    dead = [
        f"{page.relative_to(root)}: {link}"
        for page in _pages(tracked_files)
        for link in LINK.findall(_without_code(page.read_text(encoding="utf-8")))
        if not link.startswith(("http://", "https://", "mailto:")) and not _leads_somewhere(page, link)
    ]

    assert [] == dead


def _leads_somewhere(page, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return False
    return not anchor or anchor in {
        _slug(line) for line in target.read_text(encoding="utf-8").splitlines() if line.startswith("#")
    }


def _slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lstrip("# ").lower()).replace(" ", "-")


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def test_every_page_of_the_documentation_is_linked_from_its_index(root):
    index = (root / "docs" / "index.md").read_text(encoding="utf-8")
    decisions = (root / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    lost = [
        page.relative_to(root).as_posix()
        for page in sorted((root / "docs").rglob("*.md"))
        if page.relative_to(root / "docs").as_posix() not in index and f"({page.name})" not in decisions
    ]

    assert ["docs/index.md"] == lost


def test_every_hook_is_documented(root):
    page = (root / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8")
    life_cycle = [name for name in vars(LifecycleSpecs) if name.startswith("ergaster_")]
    lacking = [
        f"{hook} lacks {part!r}"
        for hook in [*life_cycle, *(kind.hook for kind in KINDS.values())]
        for part in _parts_missing(page, hook)
    ]

    assert [] == lacking


def _parts_missing(page: str, hook: str) -> list[str]:
    """Return what the section of *hook* does not have; registration hooks share one section and one table."""
    section = re.search(rf"^### `{hook}`\n(.*?)(?=^##|\Z)", page, flags=re.MULTILINE | re.DOTALL)
    if section is None:
        return [] if re.search(rf"^\| `{hook}` \|", page, flags=re.MULTILINE) else ["a section or a row"]
    return [part for part in ("**When:**", "**Returns:**", "```python") if part not in section.group(1)]


def test_the_table_of_kinds_is_the_catalogue(root):
    page = (root / "docs" / "reference" / "plugins.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| `([\w.]+)` \| `(\w+)` \| `(\w+:\w+)` \|", page, flags=re.MULTILINE)

    assert [
        (kind.name, kind.group, kind.hook, kind.contract.removeprefix("ergaster.contracts.")) for kind in KINDS.values()
    ] == rows


def test_every_decision_is_in_the_index(root):
    folder = root / "docs" / "decisions"
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    index = (folder / "README.md").read_text(encoding="utf-8")

    assert records == sorted(re.findall(r"\((\d{4}-[\w-]+\.md)\)", index))
    assert len(records) == len({name[:4] for name in records}), "two records have one number"
