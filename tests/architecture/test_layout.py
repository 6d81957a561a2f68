"""The shape of the workspace and of every plugin's folder."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

from ergaster.catalog import KINDS

FOLDERS = frozenset(
    {
        *("models", "embedders", "rerankers", "toolkits", "storages", "vectorstores", "sources", "readers", "chunkers"),
        *("features", "learning", "guardrails", "orchestration", "interfaces", "apps", "support", "contrib"),
    }
)
APP_GROUPS = frozenset({"ergaster.interfaces", "ergaster.commands", "ergaster.evaluators"})
GROUPS = frozenset({kind.group for kind in KINDS.values()}) | APP_GROUPS | {"ergaster.hooks"}
WITHOUT_ENTRY_POINT = frozenset({"support", "apps"})
FAMILIES = frozenset({"plugins/features/sessions"})
"""Distributions of several small plugins of one idea; each plugin's name is an extra besides the distribution's."""
EAGER = frozenset({"attr", "attrs", "ergaster", "jiter", "pluggy"})
"""What a plugin may load when its module is imported (jiter is one small extension module); its SDK comes at first use."""


def _normal(name: str) -> str:
    return re.split(r"[<>=~!\[; ]", name)[0].lower().replace("_", "-")


def test_plugins_lie_in_known_folders(plugins):
    assert set() == {plugin.where for plugin in plugins if plugin.kind not in FOLDERS}


def test_distributions_are_named_after_their_folders(plugins):
    wrong = {
        plugin.where: name
        for plugin in plugins
        if (name := plugin.pyproject["project"]["name"])
        != f"ergaster-{'support-' if plugin.kind == 'support' else ''}{_normal(plugin.name)}"
    }

    assert {} == wrong


def test_plugin_folders_are_complete(plugins):
    missing = [
        f"{plugin.where}/{name}"
        for plugin in plugins
        for name in ("README.md", f"src/{plugin.package}/__init__.py", f"src/{plugin.package}/py.typed", "tests")
        if not (plugin.folder / name).exists()
    ]

    assert [] == missing


def test_plugins_have_tests(plugins):
    assert [] == [plugin.where for plugin in plugins if not list(plugin.folder.glob("tests/**/test_*.py"))]


def test_plugin_projects_have_one_shape(plugins):
    keys = {"name", "version", "description", "readme", "requires-python", "license", "dependencies"}
    allowed = keys | {"entry-points", "optional-dependencies", "scripts", "keywords", "classifiers"}
    odd = {
        plugin.where: sorted((keys - found) | (found - allowed))
        for plugin in plugins
        if not keys <= (found := set(plugin.pyproject["project"])) <= allowed
    }

    assert {} == odd


def test_plugin_projects_configure_nothing_but_their_build(plugins):
    loud = {
        plugin.where: sorted(plugin.pyproject.get("tool", {}))
        for plugin in plugins
        if set(plugin.pyproject.get("tool", {})) - {"uv"}
    }

    assert {} == loud, "tool settings live in the root pyproject.toml"
    assert {("uv_build",)} == {
        tuple(_normal(name).replace("-", "_") for name in plugin.pyproject["build-system"]["requires"]) for plugin in plugins
    }


def test_plugins_need_a_range_of_the_kernel(plugins):
    loose = [
        plugin.where
        for plugin in plugins
        if not any(re.match(r"ergaster>=[\d.]+,<[\d.]+$", line) for line in plugin.pyproject["project"]["dependencies"])
    ]

    assert [] == loose, "depend on a range, such as ergaster>=0.1,<0.2"


def test_entry_points_are_known_and_named_after_the_plugin(plugins):
    wrong = {
        plugin.where: dict(plugin.entry_points)
        for plugin in plugins
        if (plugin.kind not in WITHOUT_ENTRY_POINT and not plugin.entry_points)
        or not set(plugin.entry_points) <= GROUPS
        or (plugin.where not in FAMILIES and any(name != _normal(plugin.name) for name in _provided(plugin)))
        or any(not value.startswith(plugin.package) for names in plugin.entry_points.values() for value in names.values())
    }

    assert {} == wrong


def _provided(plugin) -> list[str]:
    return [_normal(name) for names in plugin.entry_points.values() for name in names]


def test_plugins_reach_no_sibling_and_no_private_name(plugins):
    supports = {plugin.package for plugin in plugins if plugin.kind == "support"}
    offenders = [
        f"{module.where}:{line}: {name}"
        for plugin in plugins
        for module in plugin.modules
        for name, line in module.imports()
        if _is_sibling(name, plugin.package, supports) or _is_private(name, plugin.package)
    ]

    assert [] == offenders, "another plugin is reached by context.resolve(kind, ref), and the kernel by its public names"


def _is_sibling(name: str, package: str, supports: set[str]) -> bool:
    top = name.partition(".")[0]
    return top.startswith("ergaster_") and top != package and top not in supports


def _is_private(name: str, package: str) -> bool:
    first, *rest = name.split(".")
    return first != package and first.startswith("ergaster") and any(part.startswith("_") for part in rest)


def test_plugins_declare_what_they_import(plugins, kernel_pyproject):
    distributions = packages_distributions()
    offenders = [
        f"{module.where}:{line}: {name}"
        for plugin in plugins
        for module in plugin.modules
        for name, line in module.imports()
        if (top := name.partition(".")[0]) not in {*sys.stdlib_module_names, "ergaster", plugin.package}
        and not {_normal(found) for found in distributions.get(top, [top])} & _declared(plugin, kernel_pyproject)
    ]

    assert [] == offenders, "these imports are not among the plugin's dependencies"


def _declared(plugin, kernel_pyproject) -> set[str]:
    project = plugin.pyproject["project"]
    optional = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    return {_normal(line) for line in (*project["dependencies"], *optional, *kernel_pyproject["dependencies"])}


def test_every_plugin_is_an_extra_of_the_kernel(plugins, kernel_pyproject):
    extras = kernel_pyproject["optional-dependencies"]
    first_party = [plugin for plugin in plugins if plugin.kind not in {"support", "contrib"}]
    published = {_normal(plugin.name): plugin.pyproject["project"]["name"] for plugin in first_party}
    families = [plugin for plugin in first_party if plugin.where in FAMILIES]
    members = {name: plugin.pyproject["project"]["name"] for plugin in families for name in _provided(plugin)}
    single = {name: lines[0] for name, lines in extras.items() if name not in {"standard", "all"}}

    assert published | members == single
    assert set(published) == _flatten("all", extras)


def _flatten(extra: str, extras: dict[str, list[str]]) -> set[str]:
    """Return the single extras that *extra* stands for."""
    found: set[str] = set()
    for name in re.findall(r"[\w-]+", re.findall(r"\[(.*)\]", extras[extra][0])[0]):
        found |= _flatten(name, extras) if extras[name][0].startswith("ergaster[") else {name}
    return found


def test_the_workspace_lists_every_member(root, plugins):
    workspace = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    names = {plugin.pyproject["project"]["name"] for plugin in plugins}
    others = {
        tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"] for path in root.glob("contrib/*/pyproject.toml")
    }

    assert names | others <= set(workspace["dependency-groups"]["members"])
    assert {*names, *others, "ergaster"} == set(workspace["tool"]["uv"]["sources"])


def test_readmes_say_what_how_and_under_which_licence(plugins):
    lacking = [
        f"{plugin.where}/README.md lacks {what}"
        for plugin in plugins
        for text in [(plugin.folder / "README.md").read_text(encoding="utf-8")]
        for what in _lacking(plugin, text)
    ]

    assert [] == lacking


def _lacking(plugin, text: str) -> list[str]:
    """Return what a plugin's README does not have."""
    wanted = {f"the title `# {plugin.pyproject['project']['name']}`": rf"\A# {plugin.pyproject['project']['name']}\n"}
    wanted["the licence"] = r"Apache-2\.0"
    if plugin.kind != "support":
        extra = rf'"ergaster\[([\w-]+,)*{_normal(plugin.name)}(,[\w-]+)*\]"'
        wanted["the install line"] = rf"pip install ({extra}|{plugin.pyproject['project']['name']}\b)"
        wanted["an example"] = r"```(python|toml|sh|console)"
    return [what for what, pattern in wanted.items() if not re.search(pattern, text)]


def test_importing_a_plugin_loads_no_sdk_reads_no_variable_and_prints_nothing(plugins):
    modules = {
        plugin.where: sorted({value.partition(":")[0] for names in plugin.entry_points.values() for value in names.values()})
        for plugin in plugins
        if plugin.kind != "apps"
    }
    script = _PROBE.format(modules=modules, eager=sorted(EAGER))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert 0 == done.returncode, done.stderr
    assert {} == json.loads(done.stdout.splitlines()[-1])
    assert "" == "\n".join(done.stdout.splitlines()[:-1]) + done.stderr


_PROBE = """
import importlib, importlib.metadata, json, os, sys
import ergaster, ergaster.codec, ergaster.hookspecs

class Watched(type(os.environ)):
    def __getitem__(self, key):
        for frame in iter_frames():
            if frame.startswith("ergaster_"):
                reads.add(key)
        return super().__getitem__(key)

def iter_frames():
    frame = sys._getframe()
    while frame:
        yield frame.f_globals.get("__name__", "")
        frame = frame.f_back

third_party = {{name for name, found in importlib.metadata.packages_distributions().items()}}
os.environ.__class__ = Watched
wrong = {{}}
for where, modules in {modules!r}.items():
    for module in modules:
        reads, before = set(), set(sys.modules)
        importlib.import_module(module)
        loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}} & third_party - set({eager!r})
        loaded = {{name for name in loaded if not name.startswith("ergaster_")}}
        if loaded or reads:
            wrong[where] = sorted(loaded | reads)
print(json.dumps(wrong))
"""


def test_no_file_names_a_machine(root, tracked_files):
    # Patterns are written with a class, so that this file does not match itself.
    machine = re.compile(r"(?<![\w.])/(?:[h]ome|[U]sers|[w]ork)/\w|[C]:\\\\?Users|file:///[o]pt")
    offenders = [
        f"{path.relative_to(root)}:{number}: {line.strip()[:100]}"
        for path in tracked_files
        if path.suffix not in {".gguf", ".png", ".db"}
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if machine.search(line)
    ]

    assert [] == offenders


def test_the_lock_file_knows_the_public_index_only(root):
    text = (root / "uv.lock").read_text(encoding="utf-8")

    assert {"https://pypi.org/simple"} == set(re.findall(r'registry = "([^"]+)"', text))
    assert {"https://files.pythonhosted.org"} == set(re.findall(r'url = "(https?://[^/]+)', text))
