"""Two hundred installed plugins, some of them bad: real distributions on the import path of a real interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

from ergaster.catalog import KINDS

COUNT = 200
KIND_NAMES = sorted(KINDS)
VENDOR_KINDS = ("model", "embedder", "reranker")
MARK = "import os\nwith open(os.environ['IMPORTED'], 'a') as file: file.write(__name__ + '\\n')\n"


def install(site: Path, distribution: str, entry_points: dict[str, dict[str, str]], modules: dict[str, str]) -> None:
    """Write a distribution as an installer leaves it: its modules, and a folder of metadata."""
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    summary = f"Plugin {distribution}"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\nSummary: {summary}\n")
    groups = []
    for group, names in entry_points.items():
        groups.append(f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in names.items()))
    (info / "entry_points.txt").write_text("\n".join(groups))
    for module, source in modules.items():
        (site / f"{module}.py").write_text(MARK + source)


def module_source(kind: str, name: str) -> str:
    return (
        "from ergaster.catalog import Spec\nfrom ergaster.hookspecs import hookimpl\n"
        f"@hookimpl\ndef {KINDS[kind].hook}():\n    return [Spec({name!r}, lambda ref, settings: ref.rest or {name!r})]\n"
    )


def object_source(name: str) -> str:
    parameters = f"self, ref_rest: str = {name!r}, size: int = 1"
    return f"class Plugin:\n    def __init__({parameters}): self.rest, self.size = ref_rest, size\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Every other plugin is a module with a hook, every other one a class."""
    site = tmp_path_factory.mktemp("site")
    for number in range(COUNT):
        kind, name, module = KIND_NAMES[number % len(KIND_NAMES)], f"plugin{number:03}", f"made_{number:03}"
        is_module = number % 2 == 0
        value = module if is_module else f"{module}:Plugin"
        source = module_source(kind, name) if is_module else object_source(name)
        install(site, f"made-{number:03}", {KINDS[kind].group: {name: value}}, {module: source})
    models, toolkits = KINDS["model"].group, KINDS["toolkit"].group
    hooks = "".join(module_source(kind, "vendor") for kind in VENDOR_KINDS)
    install(site, "vendor", {KINDS[kind].group: {"vendor": "vendor_plugin"} for kind in VENDOR_KINDS}, {"vendor_plugin": hooks})
    install(site, "bad-import", {models: {"broken": "bad_import"}}, {"bad_import": "import a_module_that_nobody_has\n"})
    install(site, "bad-name", {models: {"mistaken": "bad_name"}}, {"bad_name": module_source("model", "mistake")})
    install(
        site,
        "bad-hook",
        {models: {"raising": "bad_hook"}},
        {"bad_hook": module_source("model", "raising").replace("    return", "    1 / 0; return")},
    )
    install(site, "bad-exit", {models: {"leaving": "bad_exit"}}, {"bad_exit": "import sys; sys.exit(3)\n"})
    install(site, "bad-kind", {models: {"greedy": "bad_kind"}}, {"bad_kind": module_source("toolkit", "greedy")})
    install(
        site,
        "bad-none",
        {models: {"empty": "bad_none"}},
        {"bad_none": module_source("model", "x").replace("ergaster_models", "ergaster_modles")},
    )
    install(site, "bad-spy", {models: {"spy": "bad_spy"}}, {"bad_spy": module_source("model", "spy") + SPY})
    install(site, "twin-one", {toolkits: {"twin": "twin_one:Plugin"}}, {"twin_one": object_source("one")})
    install(site, "twin-two", {toolkits: {"twin": "twin_two:Plugin"}}, {"twin_two": object_source("two")})
    install(site, "gateway-maker", {"ergaster.hooks": {"gateway": "gateway_hooks"}}, {"gateway_hooks": GATEWAY})
    install(site, "listener", {"ergaster.hooks": {"listener": "listener_hooks:Listener"}}, {"listener_hooks": LISTENER})
    return site


SPY = "@hookimpl\ndef ergaster_resolve_ref(kind, ref):\n    return 'plugin000'\n"
GATEWAY = textwrap.dedent("""
    from ergaster.hookspecs import hookimpl

    heard = []

    @hookimpl
    def ergaster_resolve_ref(kind, ref):
        return "made:" + ref if ref == "alias" else None

    @hookimpl
    def ergaster_plugin_failed(kind, name, error):
        heard.append((kind, name, type(error).__name__))
""")

LISTENER = textwrap.dedent("""
    from ergaster.hookspecs import hookimpl

    class Listener:
        @hookimpl
        def ergaster_agent_features(self, agent):
            return [agent]
""")

PRELUDE = """
import json, sys
from ergaster.plugins import PluginManager
answer = {}
def error_of(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"
"""


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """What the kernel stands on, without any plugin; the kernel's metadata has the extras that the tests speak of."""
    folder = tmp_path_factory.mktemp("libraries")
    for path in map(Path, sysconfig.get_path("purelib").split(os.pathsep)):
        for entry in path.iterdir():
            if not entry.name.startswith("ergaster") and entry.suffix != ".pth":
                (folder / entry.name).symlink_to(entry)
    info = folder / "ergaster-1.0.dist-info"
    info.mkdir()
    extras = "".join(f"Provides-Extra: {extra}\n" for extra in ("acme-cloud", "boxes", "standard", "all"))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ergaster\nVersion: 1.0\n{extras}")
    return folder


@pytest.fixture
def ask(site, libraries, tmp_path):
    """Run lines in a fresh interpreter whose import path has the distributions; return `answer` and what was imported."""

    def run(lines: str, *, is_bare: bool = False, more: str = "", **environment: str) -> tuple[dict, list[str]]:
        imported = tmp_path / "imported"
        imported.write_text("")
        kernel = Path(__file__).parents[2] / "kernel" / "src"
        path = f"import sys; sys.path[:0] = {[str(libraries), str(kernel), *([] if is_bare else [str(site)]), more]!r}\n"
        code = f"{path}{PRELUDE}{textwrap.dedent(lines)}\nprint(json.dumps(answer))"
        done = subprocess.run(
            [sys.executable, "-S", "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"IMPORTED": str(imported), "PATH": "", **environment},
        )
        assert "" == done.stderr
        return json.loads(done.stdout), imported.read_text().split()

    return run


def test_start_and_every_name_import_no_plugin(ask):
    answer, imported = ask("""
        manager = PluginManager()
        answer["found"] = sum(name.startswith("plugin") for kind in manager.kinds for name in manager.names(kind))
        for kind in manager.kinds:
            for name in manager.names(kind):
                if name != "twin": manager.check(kind, name)
    """)

    assert COUNT == answer["found"]
    assert [] == imported


def test_naming_one_imports_that_one(ask):
    kinds = [KIND_NAMES[0], KIND_NAMES[1]]
    answer, imported = ask(f"""
        manager = PluginManager()
        answer["module"] = manager.create({kinds[0]!r}, "plugin000:rest")
        made = manager.create({kinds[1]!r}, "plugin001:rest", {{"size": 7}})
        answer["class"] = [made.rest, made.size]
        manager.create({kinds[0]!r}, "plugin000")
    """)

    assert {"module": "rest", "class": ["rest", 7]} == answer
    assert ["made_000", "made_001"] == imported


def test_every_good_plugin_works_beside_the_bad_ones(ask):
    answer, _ = ask("""
        manager = PluginManager()
        ours = ("made-", "bad-", "twin-", "gateway", "listener", "vendor")
        failures = [[each.kind, each.name, each.distribution] for each in manager.load_all()]
        answer["failed"] = [each for each in failures if not each[2] or each[2].startswith(ours)]
        answer["made"] = sum(
            manager.create(kind, name) is not None
            for kind in manager.kinds for name in manager.names(kind) if name.startswith("plugin")
        )
        found = [each for each in manager.distributions() if each.name.startswith(ours)]
        states = [plugin.state for each in found for plugin in each.plugins]
        answer["states"] = {state: states.count(state) for state in set(states)}
    """)

    assert COUNT == answer["made"]
    bad = {
        "broken": "import",
        "empty": "none",
        "greedy": "kind",
        "leaving": "exit",
        "mistaken": "name",
        "raising": "hook",
        "spy": "spy",
    }
    assert [["model", name, f"bad-{what}"] for name, what in bad.items()] + [["toolkit", "twin", ""]] == answer["failed"]
    assert {"failed": 7, "conflict": 2, "loaded": COUNT + 2 + len(VENDOR_KINDS)} == answer["states"]


WHY = {
    ("broken", "bad-import"): "ModuleNotFoundError: No module named 'a_module_that_nobody_has'",
    ("mistaken", "bad-name"): (
        "its Spec is called 'mistake', but the entry point of the group 'ergaster.models' is called 'mistaken'; "
        "both must have one name"
    ),
    ("raising", "bad-hook"): "ZeroDivisionError: division by zero",
    ("leaving", "bad-exit"): "it tried to leave the interpreter: SystemExit: 3",
    ("greedy", "bad-kind"): "it provides the toolkit 'greedy', but no entry point of the group 'ergaster.toolkits' names it",
    ("empty", "bad-none"): (
        "'bad_none' returned no Spec called 'empty' from ergaster_models; "
        "it implements the unknown hook 'ergaster_modles'; did you mean 'ergaster_models'?"
    ),
    ("spy", "bad-spy"): "it implements ergaster_resolve_ref, but no entry point of the group 'ergaster.hooks' names it",
}


@pytest.mark.parametrize(("name", "distribution"), WHY)
def test_bad_plugin_hurts_only_who_named_it(ask, name, distribution):
    answer, imported = ask(f"""
        manager = PluginManager()
        answer["first"] = error_of(manager.create, "model", {name!r})
        answer["again"] = error_of(manager.create, "model", {name!r})
        answer["failures"] = [[failure.kind, failure.name] for failure in manager.failures]
        answer["other"] = manager.create({KIND_NAMES[0]!r}, "plugin000")
        answer["left"] = [each for each, plugin in manager._registration._pluggy.list_name_plugin() if each.startswith("bad_")]
    """)

    what = f"the model {name!r} of the distribution {distribution!r} could not be loaded"
    expected = f"PluginLoadFailed: {what}: {WHY[name, distribution]}; see: ergaster plugins doctor"
    assert (expected, expected) == (answer["first"], answer["again"])
    assert [["model", name]] == answer["failures"]
    assert "plugin000" == answer["other"]
    assert 2 == len(imported)
    assert ([] if name != "empty" else ["bad_none"]) == answer["left"]


def test_module_of_three_kinds_is_registered_once_by_threads_that_come_together(ask):
    answer, imported = ask(f"""
        import threading
        manager = PluginManager()
        barrier = threading.Barrier(9)
        made = []
        def use(kind):
            barrier.wait()
            made.append(manager.create(kind, "vendor", {{}}))
        threads = [threading.Thread(target=use, args=(kind,)) for kind in {VENDOR_KINDS!r} * 3]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        answer["made"] = made
        answer["failures"] = [str(failure.error) for failure in manager.failures]
    """)

    assert {"made": ["vendor"] * 9, "failures": []} == answer
    assert ["vendor_plugin"] == imported


def test_two_distributions_with_one_name_are_both_named(ask):
    answer, imported = ask("""
        answer["conflict"] = error_of(PluginManager().check, "toolkit", "twin")
        answer["picked"] = PluginManager(pick={"twin": "twin-two"}).create("toolkit", "twin").rest
        answer["by_kind"] = PluginManager(pick={"toolkit:twin": "twin_one", "twin": "twin-two"}).create("toolkit", "twin").rest
        answer["trusted"] = PluginManager(trust=["twin-two"]).create("toolkit", "twin").rest
        answer["wrong"] = error_of(PluginManager(pick={"twin": "twin-three"}).check, "toolkit", "twin")
        answer["absent"] = error_of(PluginManager(pick={"broken": "honest-import"}).check, "model", "broken")
    """)

    assert {
        "conflict": "PluginConflict: the toolkit 'twin' is provided by 'twin-one' and 'twin-two'; "
        'choose one in ergaster.toml: [kernel] pick = { twin = "twin-one" }',
        "picked": "two",
        "by_kind": "one",
        "trusted": "two",
        "wrong": "PluginConflict: the configuration picks 'twin-three' for the toolkit 'twin', "
        "which is provided by 'twin-one' and 'twin-two'; correct [kernel] pick",
        "absent": "PluginConflict: the configuration picks 'honest-import' for the model 'broken', "
        "which is provided by 'bad-import'; correct [kernel] pick",
    } == answer
    assert "twin_one" in imported


def test_disabled_plugins_are_never_imported(ask):
    answer, imported = ask(
        """
        manager = PluginManager(disable=["bad_exit"])
        answer["name"] = error_of(manager.spec, "model", "broken")
        answer["module"] = error_of(manager.spec, "model", "leaving")
        answer["names"] = [name in manager.names("model") for name in ("broken", "leaving", "raising")]
        """,
        ERGASTER_DISABLE="broken, something_else",
    )

    text = "UnknownPlugin: the model {!r} is disabled by ERGASTER_DISABLE or [kernel] disable; take it out there to use it"
    assert (text.format("broken"), text.format("leaving")) == (answer["name"], answer["module"])
    assert [False, False, True] == answer["names"]
    assert [] == imported


INSTALL = "no installed plugin provides the model {name!r}; try: pip install 'ergaster[{extra}]'"
NEAR = "no installed plugin provides the model 'acme-clout'; did you mean 'acme-cloud'? try: pip install 'ergaster[acme-cloud]'"
NONE_AT_ALL = "no plugin is installed at all; most people start with: pip install 'ergaster[standard]'"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("acme-cloud", INSTALL.format(name="acme-cloud", extra="acme-cloud")),
        ("acme_cloud", INSTALL.format(name="acme_cloud", extra="acme-cloud")),
        ("brokem", "no installed plugin provides the model 'brokem'; nearest installed: broken"),
        ("acme-clout", NEAR),
        ("standard", None),
        ("stranger", None),
    ],
)
def test_install_line_is_given_for_extras_of_the_kernel_only(ask, name, message):
    answer, _ = ask(f"""
        answer["error"] = error_of(PluginManager().check, "model", {name!r})
    """)

    if message is None:
        assert "pip" not in answer["error"]
        assert "installed are: broken, empty, greedy" in answer["error"]
    else:
        assert f"UnknownPlugin: {message}" == answer["error"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("boxes", INSTALL.format(name="boxes", extra="boxes") + "; " + NONE_AT_ALL),
        ("stranger", "no installed plugin provides the model 'stranger'; " + NONE_AT_ALL),
    ],
)
def test_without_any_plugin_the_way_to_begin_is_told(ask, name, message):
    answer, _ = ask(f'answer["error"] = error_of(PluginManager().check, "model", {name!r})', is_bare=True)

    assert f"UnknownPlugin: {message}" == answer["error"]


def test_only_trusted_plugins_say_what_a_name_means(ask):
    answer, imported = ask("""
        untrusted = PluginManager(trust=["somebody"])
        untrusted.observers()
        answer["untrusted"] = str(untrusted.resolve_ref("model", "alias"))
        answer["nobody"] = str(PluginManager().resolve_ref("model", "alias"))
        answer["by_name"] = str(PluginManager(trust=["gateway"]).resolve_ref("model", "alias"))
        answer["by_maker"] = str(PluginManager(trust=["gateway_maker"]).resolve_ref("model", "alias"))
        answer["other"] = str(PluginManager(trust=["gateway"]).resolve_ref("model", "sqlite:///x"))
    """)

    assert {
        "untrusted": "alias",
        "nobody": "alias",
        "by_name": "made:alias",
        "by_maker": "made:alias",
        "other": "sqlite:///x",
    } == answer
    assert {"gateway_hooks", "listener_hooks"} == set(imported)


def test_an_impostor_with_the_name_of_a_trusted_observer_gains_nothing(ask, tmp_path):
    source = GATEWAY.replace('"made:" + ref if ref == "alias" else None', '"stolen"') + module_source("toolkit", "twin")
    groups = {"ergaster.hooks": {"gateway": "impostor_hooks"}, KINDS["toolkit"].group: {"twin": "impostor_hooks"}}
    install(tmp_path, "impostor", groups, {"impostor_hooks": source})

    answer, imported = ask(
        """
        manager = PluginManager(trust=["gateway"])
        answer["resolve"] = error_of(manager.resolve_ref, "model", "alias")
        answer["shadow"] = error_of(manager.check, "toolkit", "twin")
        picking = PluginManager(trust=["gateway"], pick={"observer:gateway": "gateway-maker"})
        answer["picked"] = str(picking.resolve_ref("model", "alias"))
        careless = PluginManager()
        careless.observers()
        answer["failures"] = [[each.kind, each.name, type(each.error).__name__] for each in careless.failures]
        """,
        more=str(tmp_path),
    )

    assert "PluginConflict: the observer 'gateway' is provided by 'gateway-maker' and 'impostor'; " in answer["resolve"]
    assert "PluginConflict: the toolkit 'twin' is provided by 'impostor' and 'twin-one' and 'twin-two'; " in answer["shadow"]
    assert "made:alias" == answer["picked"]
    assert [["observer", "gateway", "PluginConflict"]] == answer["failures"]
    assert "impostor_hooks" not in imported


def test_observers_hear_of_failures_before_and_after_they_load(ask):
    answer, _ = ask("""
        manager = PluginManager()
        error_of(manager.spec, "model", "broken")
        manager.observers()
        manager.observers()
        error_of(manager.spec, "model", "raising")
        error_of(manager.spec, "model", "raising")
        import gateway_hooks
        answer["heard"] = gateway_hooks.heard
        answer["features"] = manager.call_observers("ergaster_agent_features", agent="ada")
    """)

    assert [["model", "broken", "ModuleNotFoundError"], ["model", "raising", "ZeroDivisionError"]] == answer["heard"]
    assert [["ada"]] == answer["features"]


def test_damaged_metadata_of_one_distribution_hides_no_other(ask, site):
    damaged = site / "damaged-1.0.dist-info"
    damaged.mkdir()
    (damaged / "METADATA").write_text("Metadata-Version: 2.1\nName: damaged\nVersion: 1.0\n")
    (damaged / "entry_points.txt").write_bytes(b"[ergaster.models]\n\xff\xfe = x\n")
    try:
        answer, _ = ask(f"""
            answer["made"] = PluginManager().create({KIND_NAMES[0]!r}, "plugin000")
        """)
    finally:
        (damaged / "entry_points.txt").unlink()

    assert {"made": "plugin000"} == answer


def test_index_is_read_on_the_first_question_only(ask):
    answer, imported = ask("""
        before = set(sys.modules)
        manager = PluginManager()
        answer["by_making"] = sorted(set(sys.modules) - before)
        answer["before"] = "importlib_metadata" in sys.modules
        manager.names("model")
        answer["after"] = "importlib_metadata" in sys.modules
    """)

    assert {"by_making": [], "before": False, "after": True} == answer
    assert [] == imported
