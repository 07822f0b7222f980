"""Patches of which the text counts, and not its place in the file: each must fit exactly once.

    changes = read(text)                    text: a unified diff, with a header or without
    files = applied(changes, source)        source(file) -> its text; {file: new text}
    applied(backwards(changes), source)     the same, undone
"""

from collections.abc import Callable, Iterable
import re
from typing import NamedTuple


class Misfit(Exception):
    """The patch does not fit; the message says where."""


class Change(NamedTuple):
    file: str
    before: str
    after: str


def read(text: str) -> list[Change]:
    found = []
    for part in re.split(r"^--- a/", text, flags=re.M)[1:]:
        file = re.findall(r"^\+\+\+ b/(.+)$", part, re.M)[0]
        for hunk in re.split(r"^@@.*\n", part, flags=re.M)[1:]:
            lines = hunk.splitlines(keepends=True)
            found.append(Change(file, "".join(line[1:] for line in lines if line[0] in " -"),
                                "".join(line[1:] for line in lines if line[0] in " +")))
    return found


def backwards(changes: Iterable[Change]) -> list[Change]:
    return [Change(change.file, change.after, change.before) for change in reversed(list(changes))]


def applied(changes: Iterable[Change], source: Callable[[str], str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for file, before, after in changes:
        text = texts[file] if file in texts else source(file)
        if text.count(before) != 1:
            raise Misfit(f"{file} has {text.count(before)} places like this, not one:\n{before}")
        texts[file] = text.replace(before, after)
    return texts
