"""In any tree, terminal and settings that people have, it runs or says what is wrong."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from ringside.emulators import debuggers
from ringside.emulators import machines
from ringside.recorder import recording
from ringside.emulators.machines import ROOT
from terminal import Terminal

NAME = "ring pong, $x:y"    # what means something to a shell, to make, Bochs, QEMU, mtools or the linker
NOT_SOURCES = shutil.ignore_patterns("build", ".git", "__pycache__")


def run(*command, env=None, cwd=ROOT, timeout=100):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run([str(word) for word in machines.by_name(command)], cwd=cwd, env={**clean, **(env or {})},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A built copy with a name like that, and without an execute bit."""
    tree = tmp_path_factory.mktemp("tree") / NAME
    shutil.copytree(ROOT, tree, ignore=NOT_SOURCES)
    for path in tree.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    made = run("make", "-s", cwd=tree)
    assert (made.returncode, made.stderr) == (0, "")
    assert (tree / "build/floppy.img").read_bytes() == machines.FLOPPY.read_bytes()
    return tree


@pytest.fixture
def path_without(tmp_path):
    """Makes a PATH on which everything is, but for some tools."""
    def make(*tools):
        folder = tmp_path / "bin"
        folder.mkdir()
        for tool in pathlib.Path("/usr/bin").iterdir():
            if tool.name not in tools:
                (folder / tool.name).symlink_to(tool)
        return {"PATH": str(folder)}
    return make


# ---- trees

@pytest.mark.sample(4)
@pytest.mark.parametrize("arguments, shown", [
    (["run", "PROG=kstack"], r"boot prog=kstack (?s:.*)switch n=65536 "),
    (["bochs-headless", "PROG=KSTACK.COM"], r"boot prog=kstack (?s:.*)switch n=65536 "),
    (["record", "PROG=hwtask"], r"steps of bochs are in .*ring pong, \$x:y/build/recording-bochs.json"),
    (["tour"], "5 of 5"),
    (["faults"], "fault proc=A"),
    (["iso"], "^$"),
    (["usb"], "make usb DEVICE="),
], ids=lambda value: value[0] if isinstance(value, list) else "")
def test_a_target_works_in_a_tree_of_any_name_without_execute_bits(tree, arguments, shown):
    made = run("make", "-s", *arguments, cwd=tree, env={"x": "oops", "TMPDIR": str(tree / "build")})
    assert made.returncode == 0, made.stderr
    assert re.search(shown, made.stdout), made.stdout


def test_the_debuggers_work_there(tree):
    (tree / "commands").write_text("at ckpt_int\ncontinue\n")
    said = run("sh", "scripts/debug", "--program", "kstack", "--commands", "commands", cwd=tree)
    assert "programs/kstack/kstack.S" in said.stdout, said.stderr
    with Terminal("make -s bochs PROG=kstack", columns=170, lines=40, folder=tree) as terminal:
        terminal.wait_for("<bochs:1>")
        terminal.keys("c", "Enter")
        terminal.wait_for("RINGPONG(?s:.*)ckpt_stacks")
        terminal.keys("q", "Enter")
        assert terminal.code() == 0


@pytest.mark.long
def test_two_makes_in_a_clean_tree_do_not_disturb_each_other(tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=NOT_SOURCES)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    makes = [subprocess.Popen(["make", "-s"], cwd=tree, env=clean, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) for _ in range(2)]
    assert [(make.communicate()[0], make.returncode) for make in makes] == [("", 0)] * 2
    assert (tree / "build/floppy.img").read_bytes() == machines.FLOPPY.read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_nothing_built_knows_where_it_was_built(tree, compiler):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    build = "build" if compiler == "gcc" else compiler
    assert run("make", "-s", f"CC={compiler}", f"B={build}", "all", "fncall", cwd=tree).returncode == 0
    programs = [*(tree / build).glob("*.elf"), tree / build / "fncall/fncall"]
    assert len(programs) > 5
    assert [path.name for path in programs if str(tree.parent).encode() in path.read_bytes()] == []


def test_git_checks_lines_out_as_they_are(tmp_path):
    if not shutil.which("git"):
        pytest.skip("no git here")
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=NOT_SOURCES)
    settings = ["-c", "core.autocrlf=true", "-c", "core.safecrlf=false"]
    assert run("git", "init", "-q", cwd=tree).returncode == 0
    assert run("git", *settings, "add", "-A", cwd=tree).returncode == 0
    checked_out = tmp_path / "out"
    checked_out.mkdir()
    assert run("git", *settings, "checkout-index", "-a", f"--prefix={checked_out}/", cwd=tree).returncode == 0
    files = [path for path in checked_out.rglob("*") if path.is_file()]
    assert len(files) > 100
    assert [path for path in files if path.read_bytes() != (tree / path.relative_to(checked_out)).read_bytes()] == []


# ---- settings

@pytest.mark.parametrize("command, shown", [
    (["scripts/run", "--image", "none.img"], f"run: no {ROOT}/none.img"),
    (["scripts/usb"], "dd if=build/floppy.img"),
    (["scripts/bochs", "--program", "nosuch"], "no NOSUCH on build/floppy.img, only: P_PROC "),
    (["scripts/debug", "--program", "nosuch"], "no NOSUCH on build/floppy.img, only: P_PROC "),
    (["make", "-s", "usb"], "dd if=build/floppy.img"),
], ids=lambda value: value[0] if isinstance(value, list) else "")
def test_an_exported_cdpath_leads_nowhere(tmp_path, command, shown):
    (tmp_path / "scripts").mkdir()
    said = run(*command, env={"CDPATH": str(tmp_path)})
    assert shown in said.stdout + said.stderr, said


@pytest.mark.parametrize("how", ["MTOOLS_LOWER_CASE", ".mtoolsrc"])
def test_the_users_settings_of_mtools_do_not_count(tmp_path, how):
    env = {"HOME": str(tmp_path)}
    if how == ".mtoolsrc":
        (tmp_path / how).write_text("mtools_lower_case=1\n")
    else:
        env[how] = "1"
    made = run("scripts/mkfloppy", "--program", "kstack", machines.FLOPPY, tmp_path / "made.img", env=env)
    assert made.returncode == 0, made.stderr


@pytest.mark.sample(4)
@pytest.mark.parametrize("program", ["kstack", "KSTACK", "kstack.com", "KSTACK.COM"])
def test_a_program_has_the_same_names_everywhere(tmp_path, program):
    made = run("scripts/mkfloppy", "--program", program, machines.FLOPPY, tmp_path / "made.img")
    assert made.returncode == 0, made.stderr
    tried = run("scripts/ringside", "record", "--program", program, "--from", "nosuch")
    assert "no symbol nosuch" in tried.stderr
    tried = run("scripts/ringside", "attack", "--program", program, "nosuch")
    assert "nothing has nosuch in its name" in tried.stderr
    assert "it shows P_PROC alone" in run("scripts/ringside", "tour", "--program", program).stderr


# ---- terminals

@pytest.mark.parametrize("env", [{}, {"LC_ALL": "C"}], ids=["none", "C"])
def test_the_picture_is_drawn_in_any_locale(env):
    with Terminal("sh scripts/run", env=env) as terminal:
        terminal.wait_for("(?s)╔══ proc A.*┌── ring 0|┌── proc A.*╔══ ring 0")
        terminal.keys("q")
        assert terminal.code() == 0


@pytest.mark.parametrize("script", ["run", "bochs"])
def test_a_terminal_in_which_nothing_can_be_drawn_is_told(script):
    with Terminal(f"TERM=dumb sh scripts/{script}") as terminal:
        assert terminal.code() == 1
        assert "nothing can be drawn in a terminal of the kind TERM=dumb" in " ".join(terminal.text().split())


@pytest.mark.parametrize("script", ["run", "bochs"])
@pytest.mark.parametrize("columns, lines", [(70, 30), (80, 20)])
def test_a_terminal_that_is_too_small_is_told(script, columns, lines):
    with Terminal(f"sh scripts/{script}", columns=columns, lines=lines) as terminal:
        assert terminal.code() == 1
        assert f"this terminal has {lines} lines of {columns} characters" in " ".join(terminal.text().split())


def test_of_24_lines_all_are_used():
    with Terminal("sh scripts/run", lines=24) as terminal:
        terminal.wait_for(r"(?s)^ *RINGPONG .*space hold, step")
        terminal.keys("q")
        assert terminal.code() == 0
        assert "the last was not shown" in terminal.text()


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in tmux"])
def test_in_80x24_bochs_shows_prompt_and_screen_in_turn(inside):
    def turn():
        if inside:
            terminal.tmux("next-window")
        else:
            terminal.keys("F2")

    with Terminal("make -s bochs", lines=24, inside=inside) as terminal:
        terminal.wait_for(r"shows the guest's screen, and takes you back here(?s:.*)<bochs:1>")
        for stop in "frames", "tss", "iret", "int":
            terminal.keys("c", "Enter")
            terminal.wait_for(f"ckpt_{stop}")
        turn()
        terminal.wait_for(r"(?s)^ *RINGPONG .*space hold, step")
        turn()
        terminal.keys("c", "Enter")
        terminal.wait_for(r"switch n=1 (?s:.*)<bochs:6>")
        terminal.keys("q", "Enter")
        assert terminal.code() == 0


# ---- Ctrl-C, and what never ends

def test_ctrl_c_in_gdb_is_no_error_of_make():
    with Terminal("make -s debug", lines=40) as terminal:
        terminal.wait_for(r"(?m)^\(gdb\)")
        terminal.keys("continue", "Enter")
        terminal.wait_for("Continuing")
        terminal.keys("C-c")
        terminal.wait_for("SIGINT")
        terminal.keys("quit", "Enter")
        assert terminal.code() == 0


def test_ctrl_c_in_bochs_is_no_error_of_make():
    with Terminal("make -s bochs", lines=24, inside=True) as terminal:
        for stop in "1", "2", "3", "4":
            terminal.wait_for(f"<bochs:{stop}>")
            terminal.keys("c", "Enter")
        terminal.wait_for("ckpt_int")
        terminal.keys("C-c")
        terminal.keys("q", "Enter")
        assert terminal.code() == 0


@pytest.mark.parametrize("target", ["run", "bochs-headless"])
def test_menu_without_a_terminal_ends_and_says_why(target):
    tried = run("make", "-s", target, "PROG=menu", timeout=30)
    assert tried.returncode == 2
    assert "MENU waits for a key and makes no switches" in tried.stderr


@pytest.mark.parametrize("target, shown", [
    ("tour", "it shows P_PROC alone, not kstack; this records any program: make record PROG=kstack"),
    ("soak", "make soak does not take PROG=kstack: these do: run "),
    ("faults", "make faults does not take PROG=kstack: these do: run "),
])
def test_a_target_for_p_proc_alone_says_so(target, shown):
    tried = run("make", "-s", target, "PROG=kstack", timeout=30)
    assert tried.returncode == 2 and shown in tried.stderr


# ---- what is missing

@pytest.mark.sample(4)
@pytest.mark.parametrize("command", [
    ["make", "-s", "screenshot"], ["make", "-s", "soak"], ["make", "-s", "faults"], ["make", "-s", "breakages"],
    ["scripts/ringside", "screenshot", "switch", "nowhere.png"], ["scripts/ringside", "bench", "wait"],
    ["scripts/ringside", "judge"], ["scripts/ringside", "record"],
], ids=" ".join)
def test_a_missing_emulator_is_named_with_its_package(path_without, command):
    tried = run(*command, env=path_without("qemu-system-i386", "bochs"))
    said = tried.stdout + tried.stderr
    assert re.search("qemu-system-x86|package bochs", said) and "sh scripts/setup" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("code", [0, 100])
def test_setup_without_a_network_says_so_once(tmp_path, path_without, code):
    env = path_without("mformat", "qemu-system-i386", "bochs", "gdb", "apt-get", "apt-cache", "sudo")
    for name, text in ("apt-get", f"echo cannot resolve; exit {code}"), ("apt-cache", "exit 100"), ("sudo", '"$@"'):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    asked = run("sh", "scripts/setup", env=env)
    assert asked.returncode == 1
    assert asked.stderr.startswith("setup: there are no package lists, and apt-get update has fetched none")
    assert "no package" not in asked.stdout and len(asked.stderr.splitlines()) == 1


# ---- scripts/ringside record, when the guest dies

INVALID, OFF = b"\x0f\x0b", b"\x0f\x01\x1d\0\0\0\0" + b"\x0f\x0b"     # ud2; lidt of a table that is none, ud2


@pytest.mark.sample(3)
@pytest.mark.parametrize("emulator, code, reached", [("qemu", INVALID, "panic"), ("bochs", OFF, "gate"),
                                                     ("qemu", OFF, "gate")])
def test_what_has_been_recorded_of_a_guest_that_dies_is_kept(tmp_path, emulator, code, reached):
    image = debuggers.patched(tmp_path / "dies.img", {machines.sym("ckpt_int"): code})
    made = tmp_path / "made.json"
    tried = run("scripts/ringside", "record", "--emulator", emulator, "--image", image, "--output", made)
    assert tried.returncode == 1
    assert re.search(rf"record: the guest ended after \d+ steps; the last was .* at {reached}\S* \(", tried.stderr)
    steps = recording.load(made)["steps"]
    assert f"{len(steps)} steps of {emulator} are in {made}" in tried.stdout
    assert any(step["symbol"] == reached for step in steps)
    assert f"after {len(steps)} steps" in tried.stderr


@pytest.mark.parametrize("ask", [lambda qemu: qemu.read(0, 4), lambda qemu: qemu.hmp("info registers")],
                         ids=["its GDB stub", "its monitor"])
def test_a_qemu_that_has_ended_is_missing_and_no_reader_who_has_gone(ask):
    """Else a kernel that resets looks like head: BrokenPipeError ends a command without a word, and with 0."""
    with debuggers.DebuggedQemu() as qemu:
        qemu.process.kill()
        qemu.process.wait()
        with pytest.raises(machines.Missing, match="QEMU"):
            ask(qemu)
