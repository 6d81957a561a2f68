import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ergaster.errors import ConfigError, Unsupported
from ergaster_cli.scaffold import PLUGIN_KINDS, create_agent, create_plugin
from ergaster_cli.scaffold.workspace import KIND_FOLDERS, create_member

ROOT = Path(__file__).parents[4]


@pytest.fixture(params=PLUGIN_KINDS)
def kind(request):
    return request.param


def _relative(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_plugin_has_the_files_of_a_plugin(kind, tmp_path):
    folder = tmp_path / "new"

    assert [
        "pyproject.toml",
        "README.md",
        ".gitignore",
        "src/ergaster_open_weather/__init__.py",
        "src/ergaster_open_weather/py.typed",
        "tests/test_contract.py",
    ] == _relative(create_plugin(kind, "open-weather", folder), folder)


def test_no_placeholder_is_left(kind, tmp_path):
    texts = [path.read_text(encoding="utf-8") for path in create_plugin(kind, "open-weather", tmp_path / "new")]

    assert [] == [text for text in texts if "${" in text]


def test_the_entry_point_names_something_that_the_module_defines(kind, tmp_path):
    pyproject, _, _, module, *_ = create_plugin(kind, "open-weather", tmp_path / "new")
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    [(group, points)] = project["entry-points"].items()
    tree = ast.parse(module.read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef)} | {
        target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
    }

    assert (f"ergaster.{kind}s", "ergaster-open-weather") == (group, project["name"])
    assert ["open-weather"] == list(points)
    assert points["open-weather"].partition(":")[0] == "ergaster_open_weather"
    assert points["open-weather"].partition(":")[2] in defined


def test_new_code_passes_the_linter(kind, tmp_path):
    folder = tmp_path / "new"
    create_plugin(kind, "open-weather", folder)
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]

    checked = subprocess.run(
        [*ruff, "check", *config, "--ignore", "I001", str(folder / "src")], check=False, capture_output=True, text=True
    )
    formatted = subprocess.run([*ruff, "format", "--check", *config, str(folder)], check=False, capture_output=True, text=True)

    assert (0, 0) == (checked.returncode, formatted.returncode), checked.stdout + formatted.stdout + formatted.stderr


def test_the_tests_of_a_new_plugin_pass(kind, tmp_path):
    source = create_plugin(kind, "open-weather", tmp_path / "new")[3].parents[1]
    project = tomllib.loads((tmp_path / "new/pyproject.toml").read_text(encoding="utf-8"))["project"]
    [(group, points)] = project["entry-points"].items()
    info = source / "ergaster_open_weather-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: ergaster-open-weather\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nopen-weather = {points['open-weather']}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "error"]
    environment = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run(command, cwd=tmp_path / "new", env=environment, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout
    assert " passed" in done.stdout


def test_a_prefix_that_the_user_typed_is_not_doubled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pyproject, *_ = create_plugin("toolkit", "ergaster-weather")

    assert Path("ergaster-weather/pyproject.toml") == pyproject


@pytest.mark.parametrize("name", ["", "Weather", "9lives", "a b", "../up", "a--b", "x" + "-", "wetter™"])
def test_a_name_that_cannot_be_typed_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match="cannot be a plugin's name"):
        create_plugin("toolkit", name, tmp_path / "new")

    assert not (tmp_path / "new").exists()


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(ConfigError, match="not empty"):
        create_plugin("toolkit", "weather", tmp_path)

    assert ["mine.txt"] == [path.name for path in tmp_path.iterdir()]


def test_an_unknown_kind_names_the_known_ones(tmp_path):
    with pytest.raises(Unsupported, match=", ".join(PLUGIN_KINDS)):
        create_plugin("tool", "weather", tmp_path / "new")


def test_an_agent_is_a_file_that_can_be_read(tmp_path):
    config, *_ = create_agent("assistant", tmp_path / "new")

    assert "auto" == tomllib.loads(config.read_text(encoding="utf-8"))["agents"]["assistant"]["model"]


@pytest.fixture
def workspace(tmp_path):
    """A workspace with this one's lists, and no plugins."""
    (tmp_path / "kernel").mkdir()
    for name in ("pyproject.toml", "kernel/pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("folder", KIND_FOLDERS)
def test_a_member_is_entered_in_every_list(folder, workspace):
    create_member(workspace, folder, "open_weather")
    root = tomllib.loads((workspace / "pyproject.toml").read_text(encoding="utf-8"))
    extras = tomllib.loads((workspace / "kernel/pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    own = tomllib.loads((workspace / "plugins" / folder / "open_weather/pyproject.toml").read_text(encoding="utf-8"))

    assert "ergaster-open-weather" in root["dependency-groups"]["members"]
    assert sorted(root["dependency-groups"]["members"]) == root["dependency-groups"]["members"]
    assert {"workspace": True} == root["tool"]["uv"]["sources"]["ergaster-open-weather"]
    assert ["ergaster-open-weather"] == extras["open-weather"]
    assert ",open-weather," in extras["all"][0]
    assert {"workspace": True} == own["tool"]["uv"]["sources"]["ergaster"]
    assert "dependency-groups" not in own


def test_a_member_that_exists_is_left_alone(workspace):
    create_member(workspace, "toolkits", "weather")
    before = (workspace / "pyproject.toml").read_text(encoding="utf-8")

    with pytest.raises(ConfigError, match="not empty"):
        create_member(workspace, "toolkits", "weather")

    assert before == (workspace / "pyproject.toml").read_text(encoding="utf-8")


def test_the_command_says_what_comes_next(workspace):
    made = subprocess.run(
        [sys.executable, "-m", "ergaster_cli.scaffold", "toolkits", "weather"],
        cwd=workspace,
        check=False,
        capture_output=True,
        text=True,
    )

    assert (0, "") == (made.returncode, made.stderr)
    assert "wrote plugins/toolkits/weather/pyproject.toml" in made.stdout
    assert "nox -s plugin -- plugins/toolkits/weather" in made.stdout


def test_the_command_names_the_folders_it_knows(workspace):
    made = subprocess.run(
        [sys.executable, "-m", "ergaster_cli.scaffold", "models"], cwd=workspace, check=False, capture_output=True, text=True
    )

    assert 2 == made.returncode
    assert ", ".join(KIND_FOLDERS) in made.stderr
