"""The Python here: its types, its style, and which of its rooms may import which."""

import ast
import pathlib
import re
import subprocess

import pytest

from ringside.emulators.machines import BUILD, ROOT

PACKAGE = ROOT / "ringside"
SOURCES = sorted(path for folder in ("ringside", "gdb", "tests") for path in (ROOT / folder).rglob("*.py"))
PROGRAMS = [ROOT / "scripts/ringside", ROOT / "tests/breakages/run"]     # Python, by their first lines

# Each room of the package, and the rooms below it, from which it may import.
BELOW = {
    "emulators": (),
    "recorder": ("emulators",),
    "judge": ("emulators", "recorder"),
    "attacks": ("emulators", "recorder", "judge"),
    "costs": ("emulators", "recorder", "judge"),
    "pictures": ("emulators", "recorder", "judge"),
    "soak": ("emulators", "recorder", "judge"),
    "pages": ("emulators", "recorder", "judge", "costs"),
    "laws": ("emulators", "recorder"),
    "labs": ("emulators", "recorder", "laws", "attacks", "costs", "pages"),
    "why": ("emulators", "recorder", "judge", "pictures", "web"),
    "web": ("emulators", "recorder"),
}
NEVER = {
    "the path is bent": r"sys\.path\.(insert|append)",
    "a file is imported by its path": r"SourceFile" r"Loader|spec_from_file_location",
}


def run(*command):
    return subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, timeout=120)


def imported(path):
    """The modules of the package that a file imports, within its functions as well: 'judge.cpu'."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: import by the whole name, ringside.ROOM.FILE"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            words = name.split(".")
            while words[0] == "ringside" and len(words) > 1:
                if ROOT.joinpath(*words).with_suffix(".py").exists():
                    yield ".".join(words[1:])
                    break
                words.pop()


MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
IMPORTS = {module: set(imported(path)) for module, path in MODULES.items()}


def room(module):
    return module.partition(".")[0]


@pytest.mark.long
def test_the_types_of_emulators_recorder_and_judge_fit():
    checked = run("/usr/bin/python3", "-m", "mypy", "--config-file", "setup.cfg", "--cache-dir", BUILD / "mypy")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    typed = ("emulators", "recorder", "judge", "laws", "labs", "why")
    files = len([path for name in typed for path in (PACKAGE / name).rglob("*.py")])
    assert checked.stdout.startswith(f"Success: no issues found in {files} source files")


@pytest.mark.long
def test_the_style_is_that_of_flake8():
    checked = run("/usr/bin/python3", "-m", "flake8", "--config", "setup.cfg", "ringside", "gdb", "tests", *PROGRAMS)
    assert checked.stdout + checked.stderr == ""


def test_no_room_imports_upwards():
    wrong = [f"{module} imports {other}" for module, others in IMPORTS.items() if "." in module for other in others
             if room(other) != room(module) and room(other) not in BELOW[room(module)]]
    assert wrong == []


def test_each_room_is_in_the_table():
    assert {room(module) for module in IMPORTS if "." in module} == set(BELOW)


def test_no_imports_go_round_in_a_circle():
    """Nor by way of an import within a function."""
    done = set()

    def visit(module, way):
        assert module not in way, f"a circle: {' imports '.join((*way[way.index(module):], module))}"
        if module not in done:
            for other in sorted(IMPORTS[module]):
                visit(other, (*way, module))
            done.add(module)
    for module in IMPORTS:
        visit(module, ())


@pytest.mark.parametrize("pattern", NEVER.values(), ids=NEVER)
def test_everything_is_imported_by_its_name(pattern):
    found = [str(path.relative_to(ROOT)) for path in (*SOURCES, *PROGRAMS)
             if path != pathlib.Path(__file__) and re.search(pattern, path.read_text())]
    assert found == []


def test_no_class_of_an_emulator_has_the_name_of_another():
    """Each says what more it can do than the one below."""
    names = [node.name for path in SOURCES if PACKAGE in path.parents for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.ClassDef) and re.search("qemu|bochs", node.name, re.I)]
    assert sorted(set(names)) == sorted(names)
