"""Plugins by name, in process; what is installed is tested with real distributions in `tests/integration`."""

import pytest
from attrs import frozen

from ergaster.catalog import Spec
from ergaster.errors import InvalidOption, PluginLoadFailed
from ergaster.hookspecs import hookimpl
from ergaster.plugins import PluginManager


@frozen
class Settings:
    size: int = 3


def make(ref, settings):
    return (ref.rest, settings)


class Module:
    """Provides one toolkit."""

    def __init__(self, *specs):
        self.specs = specs

    @hookimpl
    def ergaster_toolkits(self):
        return list(self.specs)


def test_registered_object_behaves_as_an_installed_one():
    manager = PluginManager()
    manager.register(Module(Spec("boxes", make, settings=Settings)))

    assert "boxes" in manager.names("toolkit")
    assert ("red", Settings(size=5)) == manager.create("toolkit", "boxes:red", {"size": 5})


def test_hook_that_raises_leaves_nothing_behind():
    class Broken(Module):
        @hookimpl
        def ergaster_vector_stores(self):
            raise RuntimeError("no disk")

    manager = PluginManager()

    with pytest.raises(PluginLoadFailed, match=r"'broken' registered in process could not be loaded: RuntimeError: no disk"):
        manager.register(Broken(Spec("boxes", make)), name="broken")

    assert "boxes" not in manager.names("toolkit")
    assert ["broken"] == [failure.name for failure in manager.failures]


def test_unknown_option_names_the_nearest_and_all_known():
    manager = PluginManager()
    manager.register_spec("toolkit", Spec("boxes", make, settings=Settings))

    with pytest.raises(InvalidOption) as caught:
        manager.create("toolkit", "boxes", {"sice": 4})

    assert "the toolkit 'boxes': sice: unknown option; did you mean 'size'? Known: size" == str(caught.value)
