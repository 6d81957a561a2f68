"""`python -m ergaster_cli.scaffold models deepseek`: make a first-party plugin in the repository around us."""

from __future__ import annotations

import sys
from pathlib import Path

from ergaster.errors import ErgasterError
from ergaster_cli.scaffold.workspace import KIND_FOLDERS, create_member

__all__: list[str] = []


def _main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write(f"name a folder ({', '.join(KIND_FOLDERS)}) and a plugin, such as: models deepseek\n")
        return 2
    root = Path.cwd()
    try:
        written = create_member(root, *arguments)
    except ErgasterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    folder = written[0].parent.relative_to(root)
    sys.stdout.write("".join(f"wrote {path.relative_to(root)}\n" for path in written))
    sys.stdout.write(
        f"\nNext: say what it does in {folder}/README.md, write it in {folder}/src, check it with\n"
        f"  nox -s plugin -- {folder}\n"
        f"add a fragment to changelog.d/, and run `nox -s types wheels` before you open a pull request.\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
