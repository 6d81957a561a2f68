"""What is in the wheels: our source, all of it, and nothing that runs by itself."""

from __future__ import annotations

import re
import tomllib
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from attrs import field, frozen

ROOT = Path(__file__).parents[2]


@frozen
class Wheel:
    """A built wheel beside the project that it was built from."""

    project: dict = field(repr=False)
    source: Path
    files: dict[str, bytes] = field(repr=False)

    @property
    def info(self) -> dict[str, str]:
        """The files of its `.dist-info`, by their names."""
        return {name.split("/", 1)[1]: data.decode() for name, data in self.files.items() if ".dist-info/" in name}

    @property
    def code(self) -> dict[str, bytes]:
        """Everything else."""
        return {name: data for name, data in self.files.items() if ".dist-info/" not in name}


def _project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


PROJECTS = [*ROOT.glob("plugins/*/*/pyproject.toml"), *ROOT.glob("contrib/*/pyproject.toml")]
FOLDERS = [ROOT / "kernel", *sorted(path.parent for path in PROJECTS)]


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.relative_to(ROOT).as_posix())
def wheel(request, dist):
    project = _project(request.param)
    name = f"{project['name'].replace('-', '_')}-{project['version']}-py3-none-any.whl"
    with ZipFile(dist / name) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
    return Wheel(project, request.param / "src", files)


def test_every_distribution_has_a_wheel_and_nothing_else_is_there(dist):
    names = {_project(folder)["name"].replace("-", "_") for folder in FOLDERS}

    assert names == {path.name.split("-")[0] for path in dist.glob("*.whl")}
    assert [] == [path.name for path in dist.iterdir() if path.suffix not in {".whl", ""} and path.name != ".gitignore"]


def test_a_wheel_holds_the_source_tree_and_nothing_more(wheel):
    source = {
        path.relative_to(wheel.source).as_posix(): path.read_bytes()
        for path in wheel.source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert sorted(source) == sorted(wheel.code)
    assert source == wheel.code


def test_nothing_in_a_wheel_runs_by_itself(wheel):
    automatic = re.compile(r"(\.pth|(^|/)(sitecustomize|usercustomize)\.py|\.(so|pyd|dll|exe))$")

    assert [] == [name for name in wheel.files if automatic.search(name)]
    assert {wheel.project["name"].replace("-", "_")} == {name.split("/")[0] for name in wheel.code}


def test_a_wheel_is_typed(wheel):
    assert f"{wheel.project['name'].replace('-', '_')}/py.typed" in wheel.code


def test_metadata_is_complete(wheel):
    metadata = Parser().parsestr(wheel.info["METADATA"])

    assert wheel.project["name"] == metadata["Name"]
    assert wheel.project["description"] == metadata["Summary"]
    assert "Apache-2.0" == metadata["License-Expression"]
    assert ">=3.11" == metadata["Requires-Python"]
    assert metadata.get_payload().startswith("# ")
    assert [] == [line for line in metadata.get_all("Requires-Dist", []) if "@" in line or "file:" in line]


def test_entry_points_arrive(wheel):
    declared = sorted(name for points in wheel.project.get("entry-points", {}).values() for name in points)
    built = wheel.info.get("entry_points.txt", "")
    scripts = wheel.project.get("scripts", {})

    assert sorted([*declared, *scripts]) == sorted(re.findall(r"^(\S+) *=", built, re.MULTILINE))
