"""Paths in the configuration file: relative to the folder of that file.

Whoever moves the file with what lies beside it, or starts the node from a service manager, whose
working directory is /, means the same files. Paths on a command line are relative to the working
directory, as everywhere.

Does: marks the settings that are paths (`Place`), and makes each of them absolute, `~` for the home
folder included. What stands there in place of a path (empty, or a word such as acme) stays.

Does not: look whether anything is there. Does not follow the file itself if it is a link: in a
mounted ConfigMap it is, and its neighbours are those of the link.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from sealcast.node.config_words import WORDS

RELATIVE: Final = "a path that is not absolute is relative to the folder of this file"
_MARK: Final = "is_place"

Place = Annotated[
    str, Meta(extra={_MARK: True}, extra_json_schema={"format": "path", "$comment": RELATIVE})
]
"""A setting that is a path."""

_T = TypeVar("_T", bound=Struct)


def anchored(table: _T, folder: Path) -> _T:
    """The same table with every `Place` in it absolute, below `folder` where it was relative."""
    kinds = get_type_hints(type(table), include_extras=True)
    changed: dict[str, Any] = {}
    for name in table.__struct_fields__:
        value = getattr(table, name)
        if isinstance(value, Struct):
            changed[name] = anchored(value, folder)
        elif isinstance(value, list):
            rows = (anchored(row, folder) if isinstance(row, Struct) else row for row in value)
            changed[name] = list(rows)
        elif is_place(kinds[name]) and value and value not in WORDS:
            changed[name] = str(folder / Path(value).expanduser())
    return msgspec.structs.replace(table, **changed) if changed else table


def is_place(kind: Any) -> bool:
    """Whether an annotation says that the value is a path."""
    return any(isinstance(each, Meta) and _MARK in (each.extra or {}) for each in get_args(kind))
