"""Plugins by name, in process; what is installed is tested with real distributions in `tests/integration`."""

import gc
import sys
import threading
from types import ModuleType

import pytest
from attrs import frozen

from ergaster.catalog import KINDS, Kind, Spec
from ergaster.discovery import import_target
from ergaster.errors import InvalidOption, PluginConflict, PluginError, PluginLoadFailed, UnknownPlugin
from ergaster.hookspecs import hookimpl
from ergaster.plugins import PluginManager


@frozen
class Settings:
    size: int = 3


def make(ref, settings):
    return (ref.rest, settings)


class Boxes:
    """Provides toolkits."""

    def __init__(self, *specs):
        self.specs = specs

    @hookimpl
    def ergaster_toolkits(self):
        return list(self.specs)


@pytest.fixture
def manager():
    return PluginManager()


def test_registered_object_behaves_as_an_installed_one(manager):
    manager.register(Boxes(Spec("boxes", make, settings=Settings)))

    manager.check("toolkit", "boxes")
    assert "boxes" in manager.names("toolkit")
    assert ("red", Settings(size=5)) == manager.create("toolkit", "boxes:red", {"size": 5})


def test_registering_twice_is_harmless(manager):
    plugin = Boxes(Spec("boxes", make))

    assert manager.register(plugin) == manager.register(plugin)
    manager.check("toolkit", "boxes")


def test_registering_a_name_again_replaces_what_it_was(manager):
    manager.register_spec("toolkit", Spec("boxes", lambda ref, settings: "old"))
    manager.register_spec("toolkit", Spec("boxes", lambda ref, settings: "new"))

    assert "new" == manager.create("toolkit", "boxes")


def test_two_registered_plugins_with_one_name_are_a_conflict(manager):
    manager.register(Boxes(Spec("boxes", make)), name="one")
    manager.register(Boxes(Spec("boxes", make)), name="two")

    with pytest.raises(PluginConflict, match="the toolkit 'boxes' is provided by 'one' and 'two'"):
        manager.check("toolkit", "boxes")


def test_a_trusted_plugin_shadows_an_installed_name():
    manager = PluginManager(trust=["double"])
    manager.register(Boxes(Spec("calculator", lambda ref, settings: "a double")), name="double")

    assert "a double" == manager.create("toolkit", "calculator")


def test_two_trusted_plugins_with_one_name_are_a_conflict():
    manager = PluginManager(trust=["one", "two"])
    manager.register(Boxes(Spec("boxes", make)), name="one")
    manager.register(Boxes(Spec("boxes", make)), name="two")

    with pytest.raises(PluginConflict):
        manager.check("toolkit", "boxes")


def test_an_untrusted_plugin_shadows_nothing(manager):
    manager.register(Boxes(Spec("boxes", make)), name="honest")
    manager.register(Boxes(Spec("boxes", make)), name="double")

    assert not manager.has("toolkit", "boxes")


def test_unregistered_plugin_leaves_nothing_behind(manager):
    class Observing(Boxes):
        @hookimpl
        def ergaster_configure(self, kernel):
            return "seen"

    manager.register(Observing(Spec("boxes", make)), name="mine")
    made = manager.create("toolkit", "boxes")

    manager.unregister("mine")

    assert ("", None) == made
    assert [] == manager.call_observers("ergaster_configure", kernel=None)
    assert not manager.has("toolkit", "boxes")
    with pytest.raises(UnknownPlugin):
        manager.spec("toolkit", "boxes")


def test_a_plugin_unregistered_while_its_hook_runs_finishes(manager):
    class Leaving:
        @hookimpl
        def ergaster_configure(self, kernel):
            manager.unregister("leaving")
            return "done"

    manager.register(Leaving(), name="leaving")

    assert ["done"] == manager.call_observers("ergaster_configure", kernel=None)
    assert [] == manager.call_observers("ergaster_configure", kernel=None)


class Raising(Boxes):
    @hookimpl
    def ergaster_configure(self, kernel):
        return "still here"

    @hookimpl
    def ergaster_vector_stores(self):
        raise RuntimeError("no disk")


class Wrapping:
    @hookimpl(wrapper=True)
    def ergaster_configure(self, kernel):
        yield


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (Raising(Spec("boxes", make)), "RuntimeError: no disk"),
        (Boxes("boxes"), "its hook ergaster_toolkits returned list, expected a list of Spec"),
        (Boxes(Spec("boxes", make), Spec("boxes", make)), "its hook ergaster_toolkits returned two Specs called 'boxes'"),
        (Boxes(Spec("boxes", make, settings=dict)), "the settings of the Spec 'boxes' are no attrs class"),
        (Wrapping(), "it wraps the hook ergaster_configure; wrappers are not supported, implement the hook itself"),
        (object(), "'mine' implements no hook; mark its functions with `@hookimpl`, or name an object: 'module:object'"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_registered_leaves_nothing_behind(manager, plugin, reason):
    with pytest.raises(PluginLoadFailed) as caught:
        manager.register(plugin, name="mine")

    expected = f"the observer 'mine' registered in process could not be loaded: {reason}; see: ergaster plugins doctor"
    assert expected == str(caught.value)
    assert "boxes" not in manager.names("toolkit")
    assert ["mine"] == [failure.name for failure in manager.failures]
    assert [] == manager.call_observers("ergaster_configure", kernel=None)
    manager.register(Boxes(Spec("boxes", make)), name="mine")
    manager.check("toolkit", "boxes")


def test_observers_are_called_although_one_raises(manager):
    class Fine:
        @hookimpl
        def ergaster_agent_features(self, agent):
            return [f"feature of {agent}"]

    class Silent:
        @hookimpl
        def ergaster_agent_features(self):
            return None

    class Broken:
        @hookimpl
        def ergaster_agent_features(self, agent):
            raise LookupError(agent)

    for name, plugin in (("first", Fine()), ("broken", Broken()), ("silent", Silent()), ("last", Fine())):
        manager.register(plugin, name=name)

    results = manager.call_observers("ergaster_agent_features", agent="ada")
    manager.call_observers("ergaster_agent_features", agent="ada")

    assert [["feature of ada"], ["feature of ada"]] == results
    assert [("observer", "broken")] == [(failure.kind, failure.name) for failure in manager.failures]
    assert "LookupError: ada" in manager.failures[0].traceback


def test_an_observer_of_failures_that_fails_is_recorded_once(manager):
    calls = []

    class Broken:
        @hookimpl
        def ergaster_plugin_failed(self, name, error):
            calls.append(name)
            raise RuntimeError("again")

    manager.register(Broken(), name="broken")
    for name in ("one", "two"):
        with pytest.raises(PluginLoadFailed):
            manager.register(object(), name=name)

    assert ["one", "broken", "two"] == [failure.name for failure in manager.failures]
    assert ["one", "two"] == calls


def test_a_trusted_plugin_that_cannot_say_what_a_name_means_is_an_error():
    class Gateway:
        @hookimpl
        def ergaster_resolve_ref(self, kind, ref):
            return "not a reference" if ref == "boxes:x" else None

    manager = PluginManager(trust=["gateway"])
    manager.register(Gateway(), name="gateway")
    manager.register_spec("toolkit", Spec("boxes", make))

    with pytest.raises(PluginLoadFailed, match="the trusted plugin 'gateway' failed to say what the toolkit 'boxes:x' is"):
        manager.create("toolkit", "boxes:x")
    assert ("y", None) == manager.create("toolkit", "boxes:y")


def test_disabled_names_are_left_out_in_process_as_well():
    manager = PluginManager(disable=["boxes", "silent"])
    manager.register_spec("toolkit", Spec("boxes", make))
    manager.register(Boxes(Spec("crates", make)), name="silent")

    with pytest.raises(UnknownPlugin, match="the toolkit 'boxes' is disabled by ERGASTER_DISABLE or"):
        manager.check("toolkit", "boxes")
    assert not manager.has("toolkit", "crates")


class App:
    """An app with a kind of its own."""

    kind = Kind("command", "ergaster.commands_of_a_test", "ergaster_commands_of_a_test")

    @hookimpl
    def ergaster_add_hookspecs(self, manager):
        manager.add_kind(self.kind)

    @hookimpl
    def ergaster_commands_of_a_test(self):
        return [Spec("greet", make)]


def test_an_app_adds_a_kind_and_provides_it(manager):
    manager.register(App())

    assert ("greet",) == manager.names("command")
    assert ("", None) == manager.create("command", "greet")
    assert "command" not in KINDS


def test_a_kind_reaches_plugins_that_were_registered_before(manager):
    class Early:
        @hookimpl
        def ergaster_commands_of_a_test(self):
            return [Spec("early", make)]

    manager.register(Early(), name="early")
    manager.add_kind(App.kind)
    manager.add_kind(App.kind)

    assert ("early",) == manager.names("command")


def test_a_failed_app_takes_its_kind_with_it(manager):
    class Failing(App):
        @hookimpl
        def ergaster_toolkits(self):
            raise RuntimeError("no")

    with pytest.raises(PluginLoadFailed):
        manager.register(Failing(), name="app")

    assert "command" not in manager.kinds
    with pytest.raises(UnknownPlugin, match="there is no kind of plugin called 'command'; the kinds are: chunker, embedder"):
        manager.check("command", "greet")


def test_a_kind_cannot_take_what_belongs_to_another(manager):
    with pytest.raises(PluginConflict, match="the kind 'models' has a name, group or hook of the kind 'model'"):
        manager.add_kind(Kind("models", "ergaster.models", "ergaster_other"))


def test_hooks_of_an_app_are_called_through_the_relay(manager):
    from ergaster.hookspecs import hookspec

    class Specs:
        @hookspec
        def ergaster_routes_of_a_test(self, prefix):
            """Give routes."""

    class Routes:
        @hookimpl
        def ergaster_routes_of_a_test(self, prefix):
            return prefix + "x"

    manager.add_hookspecs(Specs)
    manager.register(Routes())

    assert ["/x"] == manager.hook.ergaster_routes_of_a_test(prefix="/")


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("model", "openia", "no installed plugin provides the model 'openia'; nearest installed: openai"),
        ("toolkit", "openai", "no installed plugin provides the toolkit 'openai'; 'openai' is installed as: model"),
        ("modle", "openai", "there is no kind of plugin called 'modle'; did you mean 'model'? The kinds are: chunker"),
    ],
)
def test_unknown_name_says_what_to_type_instead(manager, kind, name, message):
    with pytest.raises(UnknownPlugin) as caught:
        manager.check(kind, name)

    assert str(caught.value).startswith(message)
    assert "pip install" not in str(caught.value)
    assert (kind, name) == (caught.value.kind, caught.value.name)


def test_a_factory_that_raises_is_named(manager):
    def fail(ref, settings):
        raise KeyError("x")

    manager.register_spec("toolkit", Spec("boxes", fail))

    with pytest.raises(PluginLoadFailed, match="the toolkit 'boxes' could not be made: KeyError: 'x'"):
        manager.create("toolkit", "boxes")


def test_options_are_checked_before_the_factory_is_called(manager):
    manager.register_spec("toolkit", Spec("boxes", make, settings=Settings))

    with pytest.raises(InvalidOption) as caught:
        manager.create("toolkit", "boxes", {"sice": 4})

    assert "the toolkit 'boxes': sice: unknown option; did you mean 'size'?; known are size" == str(caught.value)


def test_a_kind_that_nobody_has_is_refused(manager):
    with pytest.raises(PluginError, match="there is no kind of plugin called 'gadget'"):
        manager.register_spec("gadget", Spec("x", make))


def test_threads_that_register_at_once_lose_nothing(manager):
    barrier = threading.Barrier(8)

    def register(number):
        barrier.wait()
        for each in range(10):
            manager.register_spec("toolkit", Spec(f"boxes{number}x{each}", make))

    threads = [threading.Thread(target=register, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 80 == len([name for name in manager.names("toolkit") if name.startswith("boxes")])


def test_a_slow_import_is_named_with_the_way_to_skip_it(tmp_path, monkeypatch, caplog):
    (tmp_path / "slow_plugin_of_a_test.py").write_text("import gate_of_a_test\ngate_of_a_test.opened.wait(30)\n")
    monkeypatch.syspath_prepend(tmp_path)
    gate = ModuleType("gate_of_a_test")
    gate.opened = threading.Event()
    monkeypatch.setitem(sys.modules, "gate_of_a_test", gate)
    caplog.handler.addFilter(lambda record: gate.opened.set() or True)

    import_target("slow_plugin_of_a_test", skip_name="slow", patience=0.01)

    told = "importing the plugin module 'slow_plugin_of_a_test' has taken more than 0.01 s"
    assert [f"{told}; set ERGASTER_DISABLE=slow to leave it out"] == [record.getMessage() for record in caplog.records]


def test_a_quick_import_leaves_no_timer(tmp_path, monkeypatch, caplog):
    (tmp_path / "quick_plugin_of_a_test.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = threading.active_count()

    assert 1 == import_target("quick_plugin_of_a_test", "value")
    gc.collect()
    assert before >= threading.active_count()
    assert [] == caplog.records
