"""The tools around the guest: what they make, say and leave behind, and how they fail."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import pytest

from ringside.emulators import machines
from ringside.emulators.machines import FLOPPY, ROOT
from trees import copy_products

DESCRIPTION = ROOT / "floppy.img.in"
SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file() and path.read_bytes().startswith(b"#!"))


def run(*command, env=None, cwd=ROOT, timeout=60):
    return subprocess.run([str(word) for word in machines.by_name(command)], cwd=cwd, env={**os.environ, **(env or {})},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


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


# ---- scripts/mkfloppy

def mkfloppy(description, output, **options):
    return run("scripts/mkfloppy", description, output, machines.BUILD, **options)


def test_the_image_is_that_of_its_description(tmp_path):
    made = mkfloppy(DESCRIPTION, tmp_path / "floppy.img")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "floppy.img").read_bytes() == FLOPPY.read_bytes()
    assert FLOPPY.stat().st_size == 1440 * 1024


def test_the_image_is_the_same_wherever_and_whenever(tmp_path):
    surroundings = {"TZ": "Pacific/Chatham", "LC_ALL": "tr_TR.UTF-8", "HOME": str(tmp_path),
                    "SOURCE_DATE_EPOCH": "1", "MTOOLS_NO_VFAT": "1", "MTOOLS_LOWER_CASE": "1"}
    (tmp_path / ".mtoolsrc").write_text("MTOOLS_FAT_COMPATIBILITY=1\n")
    elsewhere = tmp_path / "a folder, elsewhere"
    copy_products(elsewhere)
    for source in elsewhere.iterdir():
        os.utime(source, (0, 0))
    shutil.copy(DESCRIPTION, elsewhere)
    made = run("sh", "-c", 'umask 077; sh "$0" floppy.img.in other.img', ROOT / "scripts/mkfloppy",
               env=surroundings, cwd=elsewhere)
    assert made.returncode == 0, made.stderr
    assert (elsewhere / "other.img").read_bytes() == FLOPPY.read_bytes()


def test_the_file_system_is_sound():
    checked = run("/usr/sbin/fsck.fat", "-n", "-v", FLOPPY)
    assert checked.returncode == 0, checked.stdout


def test_depends_names_the_sources():
    listed = run("scripts/mkfloppy", "--depends", DESCRIPTION).stdout.split()
    assert listed[:2] == ["build/boot.bin", "build/p_proc.com"]


# What stands in place of a line of the description, and what is said about it.
TYPOS = [
    ("label", "lable RINGPONG", 'unknown word "lable": expected one of format, label'),
    ("label", "label RINGPONGPONG", 'label: expected 1 to 11 of'),
    ("label", "label Ringpong", 'label: expected 1 to 11 of'),
    ("label", "label RING PONG", "label: expected one name"),
    ("label", "format 1440", 'second "format"'),
    ("format", "format 1200", 'format: expected 1440, got "1200"'),
    ("serial", "serial 52494e4", "serial: expected 8 hexadecimal digits"),
    ("serial", "serial 52494e4g", "serial: expected 8 hexadecimal digits"),
    ("serial", "serial", "serial: expected one number"),
    ("date", "date 2026-11-20", "date: expected YYYY-MM-DD HH:MM:SS"),
    ("date", "date 2026-02-29 12:00:00", "date: expected YYYY-MM-DD HH:MM:SS"),
    ("date", "date 2026-11-20 24:00:00", "date: expected YYYY-MM-DD HH:MM:SS"),
    ("date", "date 1979-12-31 12:00:00", "from 1980 to 2099"),
    ("boot", "boot none.bin", 'no file {build}/none.bin: build it with "make {build}/none.bin"'),
    ("boot", "boot p_proc.com", "boot: expected two sectors of 512 bytes"),
    ("file", "file p_proc.com p_proc.com", "file: expected an 8.3 name"),
    ("file", "file P_PROC.COMM p_proc.com", "file: expected an 8.3 name"),
    ("file", "file P_PROC.COM", "file: expected an 8.3 name and a source"),
    ("file", "file P_PROC.COM p_proc.com please", "file: expected an 8.3 name and a source"),
]


def test_a_typo_is_told_with_its_line_and_makes_nothing(tmp_path):
    lines = DESCRIPTION.read_text().splitlines()
    output = tmp_path / "floppy.img"
    for word, line, message in TYPOS:
        at = next(i for i, text in enumerate(lines) if text.startswith(word))
        description = tmp_path / "floppy.img.in"
        description.write_text("\n".join(lines[:at] + [line] + lines[at + 1:]))
        made = mkfloppy(description, output)
        assert made.returncode == 1, line
        assert f"{description}:{at + 1}: " in made.stderr, made.stderr
        assert message.format(build=machines.BUILD) in made.stderr, made.stderr
        assert list(tmp_path.iterdir()) == [description], line


def test_a_file_twice_and_a_line_missing_are_told(tmp_path):
    description = tmp_path / "floppy.img.in"
    text = DESCRIPTION.read_text()
    description.write_text(text + "file P_PROC.COM p_proc.com\n")
    assert 'second file "P_PROC.COM"' in mkfloppy(description, tmp_path / "x").stderr
    for word in "format", "label", "serial", "date", "boot":
        description.write_text(re.sub(f"(?m)^{word}.*$", "", text))
        assert f'no line "{word}": expected one' in mkfloppy(description, tmp_path / "x").stderr


def test_a_boot_sector_that_is_none_is_told(tmp_path):
    boot = (machines.BUILD / "boot.bin").read_bytes()
    copy_products(tmp_path / "build")
    cases = [(boot[:1023], "has 1023 bytes"), (boot[:510] + b"UU" + boot[512:], "there is 5555"),
             (boot[:24] + b"\x0a" + boot[25:], "offset 24 is 0a, should be 12")]
    for content, message in cases:
        (tmp_path / "build/boot.bin").write_bytes(content)
        made = run("scripts/mkfloppy", DESCRIPTION, tmp_path / "build/new.img")
        assert made.returncode == 1 and message in made.stderr
        assert not list((tmp_path / "build").glob("new.img*"))


# ---- all scripts

@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_help(script):
    asked = run(script, "--help", timeout=5)
    assert asked.returncode == 0 and asked.stdout.startswith("usage: ") and not asked.stderr


def test_shellcheck_has_no_remarks():
    shell = [path for path in [*SCRIPTS, *(ROOT / ".ci").iterdir()]
             if re.match(rb"#!/bin/(ba)?sh\n", path.read_bytes())]
    checked = run("shellcheck", *shell)
    assert checked.returncode == 0, checked.stdout


def test_a_missing_tool_is_named_with_its_package(path_without):
    lacking = path_without("mformat", "mcopy", "qemu-system-i386", "bochs", "xorriso")
    for command, package in [(["scripts/mkfloppy", DESCRIPTION, "/dev/null", machines.BUILD], "mtools"),
                             (["scripts/mkiso", DESCRIPTION, FLOPPY, "/dev/null", "/dev/null"], "xorriso"),
                             (["scripts/run"], "qemu-system-x86"), (["scripts/bochs"], "bochs")]:
        tried = run(*command, env=lacking)
        assert tried.returncode == 1
        assert package in tried.stderr and "sh scripts/setup" in tried.stderr


# ---- scripts/run, scripts/bochs

def test_run_without_a_terminal_ends_by_itself_and_leaves_nothing(tmp_path):
    played = run("scripts/run", env={"TMPDIR": str(tmp_path)})
    assert played.returncode == 0, played.stderr
    lines = played.stdout.splitlines()
    assert lines[0].startswith("boot ") and any(line.startswith("switch n=65536 ") for line in lines)
    assert not list(tmp_path.iterdir())


def test_bochs_headless_ends_by_itself_and_leaves_nothing(tmp_path):
    played = run("scripts/bochs", "--headless", env={"TMPDIR": str(tmp_path)}, timeout=130)
    assert played.returncode == 0, played.stderr
    lines = played.stdout.splitlines()
    assert lines[0].startswith("boot ") and lines[-1].startswith("switch n=65536 ")
    assert not list(tmp_path.iterdir())


def test_a_missing_image_is_told():
    tried = run("scripts/run", "--image", "build/none.img")
    assert tried.returncode == 1
    assert f"no {ROOT}/build/none.img: it is built by: make" in tried.stderr


def test_headless_judges_by_the_log(tmp_path):
    cases = [("echo switch n=1 from=A; exec sleep 60", 'no line "switch n=65536" within 1 s'),
             ("echo switch n=1 from=A", 'ended before the line "switch n=65536"'),
             ("echo fault proc=B; echo end proc=B; echo switch n=65536; exec sleep 60", "a proc has ended"),
             ("echo halt reason=; exec sleep 60", "the guest failed"),
             ("echo panic vector=0d; echo stack words=; exec sleep 60", "the guest failed")]
    for guest, message in cases:
        judged = run("scripts/headless", "1", "sh", "-c", guest, env={"TMPDIR": str(tmp_path)})
        assert judged.returncode == 1 and message in judged.stderr
        assert not list(tmp_path.iterdir())
    assert run("scripts/headless", "5", "sh", "-c", "echo switch n=65536; exec sleep 60").returncode == 0


def test_bochs_without_a_terminal_names_the_way_out():
    tried = run("scripts/bochs")
    assert tried.returncode == 1 and "make bochs-headless" in tried.stderr


def test_bochs_shows_the_prompt_beside_the_screen():
    # Not in tmp_path: a socket's path has 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        def tmux(*command):
            return run("tmux", "-S", f"{folder}/tmux", "-f", "/dev/null", *command).stdout

        def wait_for(pattern, timeout=15):
            end = time.monotonic() + timeout
            while not re.search(pattern, shown := tmux("capture-pane", "-p")):
                assert time.monotonic() < end, f"no /{pattern}/ in\n{shown}"
                time.sleep(0.05)

        try:
            tmux("new-session", "-d", "-x", "170", "-y", "40", f"env -u TMUX TMUX_TMPDIR={folder} scripts/bochs")
            wait_for(r"type c and Enter(?s:.*)<bochs:1>")
            tmux("send-keys", "c", "Enter")
            wait_for(r"<bochs:1> c(?s:.*)Magic breakpoint(?s:.*)<bochs:2>")
            wait_for("│.*RINGPONG")
            tmux("send-keys", "q", "Enter")
        finally:
            tmux("kill-server")


# ---- make run PROG=, and the others

def make(*arguments, **options):
    return run("make", "-s", *arguments, env={"MAKEFLAGS": "", "MAKELEVEL": ""}, **options)


def test_make_run_starts_the_program_that_is_named():
    played = make("run", "PROG=kstack")
    assert played.returncode == 0, played.stderr
    assert played.stdout.startswith("boot prog=kstack ")


def test_run_waits_for_no_more_switches_than_the_clock_gives():
    played = make("run", "PROG=timer")
    assert played.returncode == 0, played.stderr
    assert "boot prog=timer " in played.stdout and "switch n=512 " in played.stdout


def test_make_bochs_headless_starts_the_program_that_is_named():
    played = make("bochs-headless", "PROG=USERCTX.COM", timeout=130)
    assert played.returncode == 0, played.stderr
    assert played.stdout.startswith("boot prog=userctx ")


def test_bochs_has_the_names_of_that_program_and_no_other():
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        spy = pathlib.Path(folder) / "bochs"
        spy.write_text('#!/bin/sh\ncat "$3"\n')
        spy.chmod(0o755)
        shown = run("scripts/bochs", "--window", "--program", "kstack",
                    env={"DISPLAY": ":0", "PATH": f"{folder}:{os.environ['PATH']}"}).stdout
    usual = (ROOT / "bochsrc").read_text().replace("build/floppy.img", "build/kstack.img")
    assert shown.endswith(usual.replace("build/p_proc.sym", "build/kstack.sym"))
    assert shown.count("kstack") == 2


def test_debug_has_the_names_and_segments_of_that_program(tmp_path):
    commands = tmp_path / "commands"
    commands.write_text("at ckpt_int\ncontinue\ngdt\ntss\nframes\n")
    said = run("scripts/debug", "--program", "kstack", "--commands", commands)
    assert "programs/kstack/kstack.S" in said.stdout
    assert re.search(r"^40 +TLS_1 .* the running thread's own: fs$", said.stdout, re.M)
    assert re.search(r"^ports  I/O bitmap at 0068, inside$", said.stdout, re.M)
    assert "KSTACK has no procs in frames" in said.stderr


@pytest.mark.parametrize("target", ["run", "bochs", "bochs-headless", "debug"])
def test_a_program_that_is_not_on_the_floppy_is_told_with_those_that_are(target):
    tried = make(target, "PROG=fncall")
    assert tried.returncode == 2
    there = re.findall(r"^file +(\w+)\.COM", (ROOT / "floppy.img.in").read_text(), re.M)
    assert f"no FNCALL on build/floppy.img, only: {' '.join(there)}\n" in tried.stderr
    assert not (machines.BUILD / "fncall.img").exists()


@pytest.mark.parametrize("target", ["record", "attack"])
def test_so_it_is_by_what_looks_from_outside(target):
    tried = make(target, "PROG=fncall")
    assert tried.returncode == 2
    assert "no program fncall in build/, there are: p_proc, kstack, " in tried.stderr


def test_make_record_takes_the_program_that_is_named(tmp_path):
    made = tmp_path / "made.json"
    recorded = run("scripts/ringside", "record", "--program", "KSTACK.COM", "--steps", "2", "--output", made)
    assert recorded.returncode == 0, recorded.stderr
    assert '"program":"kstack"' in made.read_text()
    assert "scripts/ringside record --program 'kstack'" in make("--dry-run", "record", "PROG=kstack").stdout


@pytest.mark.parametrize("options, what", [
    (["--after", "3"], "--after 3: the log tells of switches 1, 2, 4, 8, ... only"),
    (["--output", "nowhere/made.json"], "--output nowhere/made.json: there is no folder nowhere"),
])
def test_what_cannot_be_recorded_is_said_before_anything_starts(options, what):
    tried = run("scripts/ringside", "record", *options)
    assert tried.returncode == 2 and what in tried.stderr


def test_an_attack_that_does_not_exist_is_no_attack_that_came_to_nothing():
    tried = run("scripts/ringside", "attack", "--program", "p_proc", "nosuch")
    assert tried.returncode == 2 and "nothing has nosuch in its name" in tried.stderr


def test_the_floppy_stays_as_it_is():
    before = FLOPPY.read_bytes()
    assert run("scripts/mkfloppy", "--program", "floppy", FLOPPY).returncode == 1
    assert run("scripts/mkfloppy", "--program", "menu", "build/floppy.img").stdout == "build/menu.img\n"
    assert FLOPPY.read_bytes() == before


# ---- scripts/setup, and what the harness itself promises

def test_setup_calls_nothing_when_all_is_there(tmp_path, path_without):
    env = path_without("sudo", "apt-get")
    (tmp_path / "bin/apt-get").write_text("#!/bin/sh\necho called >&2\nexit 1\n")
    (tmp_path / "bin/apt-get").chmod(0o755)
    asked = run("sh", "scripts/setup", env=env)
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "setup: everything is there\n", "")


def test_setup_says_what_it_installs(tmp_path, path_without):
    env = path_without("mformat", "mcopy", "apt-get")
    (tmp_path / "bin/apt-get").write_text('#!/bin/sh\necho apt-get "$@"\n')
    (tmp_path / "bin/apt-get").chmod(0o755)
    asked = run("sh", "scripts/setup", env=env)
    assert "setup: installing mtools\n" in asked.stdout
    assert "apt-get install -q -y --no-install-recommends mtools\n" in asked.stdout
    assert asked.returncode == 1 and "mtools is installed, but" in asked.stderr


def test_gdb_reads_real_mode_as_16_bit_code():
    with machines.Qemu(stopped=True, gdb=True) as machine:
        out = machine.gdb("hbreak *0x7c00\ncontinue\nshow architecture\nprintf \"at %x\\n\", $pc", bits=16)
    assert "i8086" in out and "at 7c00" in out
