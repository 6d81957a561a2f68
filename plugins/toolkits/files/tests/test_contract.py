from pathlib import Path
from typing import ClassVar

from ergaster.testing import ToolkitContract
from ergaster_files import Files


class TestFiles(ToolkitContract):
    ref = "files"
    examples: ClassVar = {
        "list_files": {},
        "read_file": {"path": "notes/todo.txt"},
        "search_files": {"text": "milk"},
        "view_image": {"path": "cat.png"},
        "write_file": {"path": "new/a.txt", "content": "héllo"},
        "edit_file": {"path": "notes/todo.txt", "old": "milk", "new": "milk, bread"},
        "delete_file": {"path": "notes/todo.txt"},
    }

    def make_toolkit(self, workspace: Path) -> Files:
        (workspace / "notes").mkdir()
        (workspace / "notes" / "todo.txt").write_text("buy milk\n")
        (workspace / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        return Files(str(workspace))
