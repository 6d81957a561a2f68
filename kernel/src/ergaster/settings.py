"""Typed settings: how options become what a plugin's factory takes, and how a class or function becomes a `Spec`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, get_type_hints

import attrs

from ergaster.catalog import Spec
from ergaster.errors import InvalidInput, InvalidOption, InvalidRef, PluginError
from ergaster.refs import Ref

__all__ = ["REF_REST", "option_types", "settings_from", "spec_for", "title"]

REF_REST: Final = "ref_rest"
"""The parameter of a class or function that receives what stands behind the colon of a reference."""


class _NotGiven:
    """Stands for a default that only the plugin's own constructor knows."""

    def __repr__(self) -> str:
        return "<computed>"


_NOT_GIVEN: Final = _NotGiven()


@attrs.frozen
class _NoSettings:
    """The settings of a plugin that has none."""


def settings_from(spec: Spec[Any], options: Mapping[str, object], *, kind: str = "plugin") -> Any:
    """Make the settings object of *spec* from options as a person writes them; `None` when the Spec has no settings.

    Raises:
        InvalidOption: For unknown options (with the nearest and all known names), missing ones and wrong types, all
            problems in one message, which never shows a value.
    """
    if spec.settings is None and not options:
        return None
    from ergaster.schema.options import options_adapter

    try:
        return options_adapter(spec.settings or _NoSettings, "option").load(options)
    except InvalidInput as error:
        text, known = "; ".join(error.problems), option_types(spec)
        if known and "known are" not in text and not set(options) <= set(known):
            text += f"; known are {', '.join(sorted(known))}"
        raise InvalidOption(f"{title(kind, spec.name)}: {text}", kind=kind, name=spec.name) from None


def title(kind: str, name: str) -> str:
    """Return how errors call a plugin: `the vector store 'qdrant'`."""
    return f"the {kind.replace('_', ' ')} {name!r}"


def option_types(spec: Spec[Any]) -> Mapping[str, object]:
    """Return the resolved type of each option of *spec*, for tables that people read."""
    if spec.settings is None:
        return {}
    from ergaster.schema.objects import class_properties

    return {option.name: option.hint for option in class_properties(spec.settings)}


def spec_for(kind: str, name: str, target: object) -> Spec[Any]:
    """Make the `Spec` of an entry point that names an object instead of a module.

    The object is a `Spec`; or a factory, called as `(ref, settings)`, with an attrs class as its attribute `settings`
    (and perhaps `summary` and `env`); or a class or function whose keyword parameters are the options, one of them,
    `ref_rest`, receiving what stands behind the reference's colon.

    Raises:
        PluginError: If it is none of these.
    """
    if isinstance(target, Spec):
        return target
    settings = getattr(target, "settings", None)
    if not isinstance(target, type) and callable(target) and isinstance(settings, type) and attrs.has(settings):
        summary = str(getattr(target, "summary", "") or _summary(target))
        return Spec(name, target, settings=settings, summary=summary, **_extras(target))
    if isinstance(target, ModuleType) or not callable(target) or inspect.iscoroutinefunction(target):
        raise PluginError(
            f"the entry point {name!r} leads to {type(target).__name__} {getattr(target, '__name__', '')!r}, "
            "which is no Spec, factory, class or plain function (a module is named without a colon)",
            kind=kind,
            name=name,
        )
    return _spec_of_callable(kind, name, target)


def _extras(target: object) -> dict[str, Any]:
    """Return the optional attributes of a target: the variables that it reads, and what `auto` means for it."""
    env, auto = getattr(target, "env", ()), getattr(target, "auto", "")
    is_names = isinstance(env, (tuple, list)) and all(isinstance(item, str) for item in env)
    return {"env": tuple(env) if is_names else (), "auto": auto if isinstance(auto, str) else ""}


def _summary(target: object) -> str:
    text = inspect.getdoc(target) or ""
    return "" if text == inspect.getdoc(type(target)) else text.strip().partition("\n")[0]


def _spec_of_callable(kind: str, name: str, target: Callable[..., Any]) -> Spec[Any]:
    options = _options_of_class(target) if isinstance(target, type) and attrs.has(target) else _options_of_signature(target)
    rest = options.pop(REF_REST, None)
    settings = attrs.make_class("Options", options, kw_only=True, frozen=True)
    settings.__doc__ = inspect.getdoc(target)

    def make(ref: Ref, given: object) -> Any:
        arguments = {key: value for key in options if (value := getattr(given, key)) is not _NOT_GIVEN}
        arguments.update(_rest_argument(kind, ref, rest))
        try:
            return target(**arguments)
        except (ValueError, TypeError) as error:
            raise InvalidOption(f"{title(kind, name)} refused its options: {error}", kind=kind, name=name) from error

    return Spec(name, make, settings=settings, summary=_summary(target), **_extras(target))


def _rest_argument(kind: str, ref: Ref, rest: Any) -> dict[str, str]:
    if rest is None:
        if ref.rest:
            raise InvalidRef(f"{title(kind, ref.plugin)} takes nothing behind its name; write {ref.plugin!r} alone")
        return {}
    if ref.rest:
        return {REF_REST: ref.rest}
    if rest._default is attrs.NOTHING:  # noqa: SLF001  an attrs field that is not yet part of a class has no public view
        raise InvalidRef(f"{title(kind, ref.plugin)} needs a name behind it; write '{ref.plugin}:…'")
    return {}


def _options_of_class(target: type) -> dict[str, Any]:
    from ergaster.schema.hints import class_hints

    hints, options = class_hints(target), {}
    for attribute in attrs.fields(target):
        name, default = attribute.alias or attribute.name, attribute.default
        default = _NOT_GIVEN if getattr(default, "takes_self", False) else default
        hint = hints.get(attribute.name, attribute.type or Any)
        if attribute.init:
            options[name] = attrs.field(default=default, type=hint, metadata=dict(attribute.metadata), alias=name)  # type: ignore[call-overload]  # the type is known at run time only
    return options


def _options_of_signature(target: Callable[..., Any]) -> dict[str, Any]:
    function = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]  # it is only read
    hints = get_type_hints(function if inspect.isroutine(function) else type(function).__call__, include_extras=True)
    options = {}
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise PluginError(f"its parameter {name!r} is positional only, so that no option can be given to it")
        default = attrs.NOTHING if parameter.default is parameter.empty else parameter.default
        options[name] = attrs.field(default=default, type=hints.get(name, Any), alias=name)
    return options
