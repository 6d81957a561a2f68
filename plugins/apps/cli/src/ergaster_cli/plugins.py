"""`ergaster plugins`: what is installed, what each plugin takes, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from attrs import NOTHING, Attribute, fields
from cyclopts import Parameter

from ergaster_cli.commands import make_manager
from ergaster_cli.exits import Exit, UsageError
from ergaster_cli.screen import Screen
from ergaster_cli.tables import print_json, print_table
from ergaster_cli.visible import escape

if TYPE_CHECKING:
    from ergaster.catalog import Spec
    from ergaster.plugins import PluginManager

__all__ = ["doctor", "list_plugins", "show_plugin"]

Flag = Annotated[bool, Parameter(negative="")]


def list_plugins(kind: str = "", /, *, json: Flag = False) -> int:
    """List the installed plugins. Nothing is imported.

    Args:
        kind: Only this kind, such as `model` or `toolkit`.
        json: Print JSON.
    """
    screen = Screen()
    manager = make_manager()
    if kind and kind not in manager.kinds:
        raise UsageError(f"there is no kind of plugin {kind!r}; the kinds are: {', '.join(sorted(manager.kinds))}")
    rows = [row for row in _rows(manager) if not kind or row["kind"] == kind]
    if json:
        print_json(screen, rows)
        return Exit.OK
    columns = ["kind", "name", "distribution", "version", "summary"]
    if any(row["state"] != "available" for row in rows):
        columns.insert(4, "state")
    print_table(screen, [column.upper() for column in columns], ([row[column] for column in columns] for row in rows))
    return Exit.OK


def _rows(manager: PluginManager) -> list[dict[str, str]]:
    rows = [
        {
            "kind": plugin.kind,
            "name": plugin.name,
            "distribution": distribution.name,
            "version": distribution.version,
            "state": plugin.state,
            "summary": distribution.summary,
        }
        for distribution in manager.distributions()
        for plugin in distribution.plugins
    ]
    return sorted(rows, key=lambda row: (row["kind"], row["name"], row["distribution"]))


def show_plugin(name: str, /, *, kind: str = "", json: Flag = False) -> int:
    """Show what a plugin provides, its options with their defaults, and the environment variables that it reads.

    Args:
        name: The plugin's name.
        kind: Its kind, when several kinds have that name and only one is wanted.
        json: Print JSON.
    """
    screen = Screen()
    manager = make_manager()
    kinds = [kind] if kind else [each for each in manager.kinds if name in manager.names(each)]
    if not kinds:
        near = sorted({each["name"] for each in _rows(manager)})
        raise UsageError(f"no installed plugin is called {name!r}; installed are: {', '.join(near) or 'none'}")
    shown = [_describe(manager, each, name) for each in kinds]
    if json:
        print_json(screen, shown)
    else:
        for each in shown:
            _show(screen, each)
    return Exit.OK


def _describe(manager: PluginManager, kind: str, name: str) -> dict[str, Any]:
    spec = manager.spec(kind, name)
    row = next((row for row in _rows(manager) if row["kind"] == kind and row["name"] == name), {})
    return {
        "kind": kind,
        "name": name,
        "summary": spec.summary or row.get("summary", ""),
        "distribution": row.get("distribution", ""),
        "version": row.get("version", ""),
        "options": list(_options(spec)),
        "environment": [{"name": variable, "set": variable in os.environ} for variable in spec.env],
    }


def _options(spec: Spec[Any]) -> Iterator[dict[str, Any]]:
    """Yield the options; a default that could be a secret or that is computed is not shown."""
    if spec.settings is None:
        return
    from ergaster.schema import parse_docstring
    from ergaster.settings import option_types

    types = option_types(spec)
    documented: dict[str, str] = {}
    for base in reversed(spec.settings.__mro__):  # options that a class inherits are documented where they are defined
        documented.update(parse_docstring(base.__doc__).params)
    for attribute in fields(spec.settings):
        option = attribute.alias or attribute.name
        if not attribute.init or option not in types:
            continue
        yield {
            "name": option,
            "type": _type_name(types[option]),
            "required": attribute.default is NOTHING,
            "default": _default(attribute),
            "help": " ".join(documented.get(attribute.name, "").split()),
        }


def _default(attribute: Attribute[Any]) -> object:
    default: Any = attribute.default
    if hasattr(default, "factory"):
        default = default.factory() if default.factory in (list, dict, tuple, set) else "<computed>"
    if default is NOTHING or default is None or isinstance(default, bool | int | float | str):
        return None if default is NOTHING else default
    return repr(default)


def _type_name(hint: object) -> str:
    name = hint.__name__ if isinstance(hint, type) else str(hint)
    for noise in ("typing.", "collections.abc.", "ergaster.secrets.", "pathlib."):
        name = name.replace(noise, "")
    return name


def _show(screen: Screen, shown: dict[str, Any]) -> None:
    screen.line(f"{shown['kind']} {shown['name']}: {escape(shown['summary'])}")
    screen.line(f"from {shown['distribution']} {shown['version']}")
    for option in shown["options"]:
        default = "required" if option["required"] else f"default {option['default']!r}"
        screen.line(f"  {option['name']}: {option['type']}, {default}")
        if option["help"]:
            screen.line(f"      {escape(option['help'])}")
    if not shown["options"]:
        screen.line("  no options")
    for variable in shown["environment"]:
        screen.line(f"  environment {variable['name']}: {'set' if variable['set'] else 'not set'}")
    screen.line()


def doctor(*, json: Flag = False, verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="")] = False) -> int:
    """Import every plugin and report what is wrong, also with versions and patched code; exit code 1 when something is.

    Args:
        json: Print JSON.
        verbose: Show tracebacks.
    """
    from ergaster_cli.integrity import patched_code, wrong_versions

    screen = Screen()
    manager = make_manager()
    failures = manager.load_all()
    rows = _rows(manager)
    notices = [*wrong_versions(manager), *patched_code()]
    if json:
        found = [
            {
                "kind": failure.kind,
                "name": failure.name,
                "distribution": failure.distribution,
                "error": f"{type(failure.error).__name__}: {failure.error}",
                **({"traceback": failure.traceback} if verbose else {}),
            }
            for failure in failures
        ]
        ok = not failures and not notices
        print_json(screen, {"ok": ok, "plugins": len(rows), "failures": found, "notices": notices})
        return Exit.OK if ok else Exit.FAILED
    for failure in failures:
        title = f"{failure.kind} {failure.name} from {failure.distribution}"
        screen.line(f"{title}: {type(failure.error).__name__}: {failure.error}")
        if verbose:
            screen.line(escape(failure.traceback))
    for notice in notices:
        screen.line(notice)
    problems = len(failures) + len(notices)
    screen.line(f"{len(rows)} plugins, {problems} problems" if problems else f"{len(rows)} plugins, all well")
    if failures and not verbose:
        screen.note("see the tracebacks with: ergaster plugins doctor -v")
    return Exit.FAILED if problems else Exit.OK
