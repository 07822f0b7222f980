"""Words that made the prose read like a translation do not come back, in any text of the project."""

import os
import re

import pytest

from ringside.emulators.machines import ROOT

# An identifier such as start_anew is not such a word: \b finds no boundary inside it.
TRANSLATED = re.compile(r"\b(nobody|somebody|whoever|anew|midst)\b", re.I)

# What is not the project's text: what is built, what git keeps, what Python keeps.
ELSEWHERE = {".git", "build", "__pycache__"}
HERE = "tests/test_english.py"  # has the words because it names them

# Sentences in which the idiom wants such a word: {file: the sentences}.
IDIOMS = {
    "tests/breakages/english-nobody.patch": ["+ * The end of a program that nobody can even start."],
    # Names of breakages.
    "tests/breakages/laws.txt": ["english-nobody", "hwjump-nobody-said-who", "hwtask-nobody-waits",
                                 "hwtask-restart-of-nobody-takes-a-turn", "nobody-left-unsaid",
                                 "number-restarts-nobody", "userctx-fault-ends-nobody"],
}


def texts():
    """{path from the root: text} of every file of the project that is text."""
    found = {}
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in ELSEWHERE]
        for path in (ROOT / os.path.relpath(folder, ROOT) / name for name in files if name not in ELSEWHERE):
            raw = path.read_bytes()
            if b"\0" not in raw:
                found[str(path.relative_to(ROOT))] = raw.decode("utf-8", "replace")
    return found


def translated(path, text):
    """["path:line: word"] of each word that is no idiom there."""
    for idiom in IDIOMS.get(path, []):
        text = text.replace(idiom, "")
    return [f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}" for match in TRANSLATED.finditer(text)]


def test_no_word_of_a_translation_stands_in_the_project():
    found = texts()
    assert len(found) > 500 and {"p_proc.S", "README.md", "scripts/run", "docs/tour.md"} <= set(found)
    assert [place for path, text in found.items() if path != HERE
            for place in translated(path, text)] == []


@pytest.mark.parametrize("text, words", [
    ("Anew,\nand whoever: start_anew()", ["x:1: Anew", "x:2: whoever"]),
    ("# in the\n# midst of it, for nobody", ["x:2: midst", "x:2: nobody"]),
])
def test_such_a_word_is_found_and_an_identifier_is_none(text, words):
    assert translated("x", text) == words


def test_each_idiom_stands_in_its_file():
    for path, idioms in IDIOMS.items():
        text = (ROOT / path).read_text()
        assert [idiom for idiom in idioms if idiom not in text] == []
