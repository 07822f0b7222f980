"""FNCALL: run(&context) without rings, as a program of this Linux.

The registers are judged from outside, on the program that ships: a debugger (ptrace)
gives both users and C values at random, and plays the users' part at their call.
"""

import os
import platform
import random
import re
import shutil
import signal
import struct
import subprocess
import types

from ringside.emulators import machines
import pytest
from ringside.emulators.machines import ROOT
from ringside.costs import fncall as BENCH
from ringside.costs.tracee import Tracee

pytestmark = pytest.mark.skipif((platform.system(), platform.machine()) != ("Linux", "x86_64"),
                                reason="FNCALL is a program for Linux on x86-64")

README = (ROOT / "programs/fncall/README.md").read_text()

# struct user_context, in its order.
NUMBERED = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split()
CONTEXT = [*NUMBERED, "rip", "rflags", "fsbase", "trap_num", "error_code", "fault_address"]
LOADED = [name for name in NUMBERED if name != "rsp"]  # what can be loaded with anything
CALLEE_SAVED = ["rbx", "rbp", "r12", "r13", "r14", "r15"]
TRAP_CALL = 0x100
CALL_BYTES = 5

CF, PF, AF, ZF, SF, DF, OF, AC = FLAGS = 1, 4, 0x10, 0x40, 0x80, 0x400, 0x800, 0x40000
WAYS = {way: options for way, options in BENCH.WAYS.items() if "--fs-is-not-mine" not in options}
# Where fs is libc's (tests/test_fncall_fs.py).
BY_GS = {way: options for way, options in BENCH.WAYS.items() if "--fs-is-not-mine" in options}
ROUNDS = 40


def make(tree, build, *arguments, path=None):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make", "-s", "fncall", f"B={build}", *arguments], cwd=tree, text=True,
                          env={**clean, **({"PATH": str(path)} if path else {})},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    build = tmp_path_factory.mktemp("fncall")
    made = make(ROOT, build)
    assert (made.returncode, made.stdout) == (0, "")
    return str(build / "fncall/fncall")


def play(program, *arguments, **options):
    return subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, text=True,
                          **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 20, **options})


def options_of(program, way):
    """A way may be missing here; skips the test then."""
    options = {**WAYS, **BY_GS}[way]
    if "this Linux has no" in play(program, "--switches=1", *options).stderr:
        pytest.skip(f"no {way} here")
    return options


@pytest.fixture(params=[*WAYS, *BY_GS])
def run(request, program):
    """The program before its first turn; where fs is libc's, before the first one that faults no more."""
    with Tracee(program, *options_of(program, request.param), delivers={signal.SIGSEGV}) as tracee:
        for _ in range(3 if request.param in BY_GS else 0):
            tracee.run_to("run_fncall")
        tracee.by_gs = request.param in BY_GS
        yield tracee


# ---- one turn, with a debugger as user

def words(count, source=random):
    return [source.getrandbits(64) for _ in range(count)]


def flags(source=random):
    return sum(flag for flag in FLAGS if source.getrandbits(1))


def context_at(run, place):
    return dict(zip(CONTEXT, run.words(place, len(CONTEXT))))


def write_context(run, place, context):
    run.write(place, struct.pack(f"<{len(CONTEXT)}Q", *(context[name] for name in CONTEXT)))


def turn(run, load=None, leave=None, c=None, leave_floating=(0x1f80, 0x37f)):
    """From C's call of run_fncall to its return: what all had, at each stage.

    load: changes to the context before; leave: what the user has in its registers at its
    call; c: what C has in its own, as it calls. C gets its own registers back afterwards.
    """
    saw = types.SimpleNamespace()
    if run.registers()["rip"] != run.place("run_fncall"):
        run.run_to("run_fncall")
    c_really = run.registers()
    floating_really = run.floating()
    back, = run.words(c_really["rsp"], 1)
    run.set(**(c or {}))
    saw.c_before, saw.c_floating_before = run.registers(), run.floating()
    saw.place = c_really["rdi"]
    saw.before = {**context_at(run, saw.place), "trap_num": 0xbad, "error_code": 0xbad, "fault_address": 0, **(load or {})}
    write_context(run, saw.place, saw.before)
    run.run_to(saw.before["rip"])
    saw.entered = run.registers()
    run.set(rip=run.place("proc_call"), **(leave or {}))
    run.set_floating(*leave_floating)
    saw.left = run.registers()
    run.run_to(back)
    saw.c_after, saw.c_floating_after = run.registers(), run.floating()
    saw.after = context_at(run, saw.place)
    run.set(**{**c_really, "rip": back, "rsp": c_really["rsp"] + 8})
    run.set_floating(*floating_really)
    return saw


def only(values, names):
    return {name: values[name] for name in names}


def test_every_register_is_loaded_with_its_index_and_stored_with_ten_more(run):
    # Not rsp: the way in and the way out lead over the user's own stack.
    index = {name: NUMBERED.index(name) for name in LOADED}
    more = {name: value + 10 for name, value in index.items()}
    for _ in "AB":
        seen = turn(run, load=index, leave=more)
        assert only(seen.entered, LOADED) == index
        assert only(seen.after, LOADED) == more


def test_rsp_is_loaded_and_stored_as_it_was_before_the_call(run):
    for _ in range(4):
        run.run_to("run_fncall")
        rsp = context_at(run, run.registers()["rdi"])["rsp"]
        seen = turn(run, load={"rsp": rsp - 64}, leave={"rsp": rsp - 128})
        assert seen.entered["rsp"] == rsp - 64
        assert seen.after["rsp"] == rsp - 128
        run.write(seen.place + 8 * CONTEXT.index("rsp"), struct.pack("<Q", rsp))


def test_a_user_goes_on_right_behind_its_call(run):
    for _ in range(4):
        seen = turn(run)
        assert seen.after["rip"] == run.place("proc_call") + CALL_BYTES
    assert seen.entered["rip"] == run.place("proc_call") + CALL_BYTES


def test_the_flags_are_loaded_and_stored(run):
    for _ in range(ROUNDS):
        load, leave = flags(), flags()
        seen = turn(run, load={"rflags": load | 2}, leave={"eflags": leave | 0x202})
        assert seen.entered["eflags"] & sum(FLAGS) == load
        assert seen.after["rflags"] & sum(FLAGS) == leave


def test_two_interleaved_contexts_keep_every_register(run):
    kept = {}
    for n in range(2 * ROUNDS):
        leave = {**dict(zip(LOADED, words(len(LOADED)))), "eflags": flags() | 0x202}
        seen = turn(run, leave=leave)
        if n >= 2:
            assert only(seen.entered, LOADED) == only(kept[seen.place], LOADED), f"turn {n}"
            assert (seen.entered["eflags"] ^ kept[seen.place]["eflags"]) & sum(FLAGS) == 0
        kept[seen.place] = leave
    assert len(kept) == 2


def test_a_trap_by_call_is_trap_0x100_with_error_code_0(run):
    for _ in "AB":
        seen = turn(run)
        assert (seen.after["trap_num"], seen.after["error_code"]) == (TRAP_CALL, 0)


def test_c_gets_its_callee_saved_registers_back(run):
    for _ in range(ROUNDS):
        seen = turn(run, c=dict(zip(CALLEE_SAVED, words(6))), leave=dict(zip(LOADED, words(len(LOADED)))))
        assert only(seen.c_after, CALLEE_SAVED) == only(seen.c_before, CALLEE_SAVED)
        assert seen.c_after["rsp"] == seen.c_before["rsp"] + 8


def test_c_gets_its_flags_back_df_among_them(run):
    for n in range(ROUNDS):
        theirs = AC if n % 2 else 0
        seen = turn(run, c={"eflags": 0x202 | theirs}, leave={"eflags": 0x202 | DF | (AC ^ theirs)})
        assert seen.c_after["eflags"] & (DF | AC) == theirs


@pytest.mark.parametrize("mxcsr, x87_cw", [(0x7f80, 0x37f), (0x1f80, 0x0f7f), (0x9fc0, 0x27f)])
def test_c_gets_its_floating_point_control_words_back(run, mxcsr, x87_cw):
    seen = turn(run, leave_floating=(mxcsr, x87_cw))
    assert seen.c_floating_after == seen.c_floating_before


def test_the_fs_base_changes_hands_and_is_given_back(run):
    bases = set()
    for _ in range(4):
        seen = turn(run)
        users, other = ("gs_base", "fs_base") if run.by_gs else ("fs_base", "gs_base")
        bases.add(seen.entered[users])
        assert seen.entered[users] == seen.before["fsbase"] == seen.after["fsbase"]
        assert seen.c_after["fs_base"] == seen.c_before["fs_base"] not in bases
        assert seen.c_after[other] == seen.entered[other] == seen.c_before[other]
    assert len(bases) == 2


def test_the_first_instruction_inside_finds_c_s_stack(run):
    for _ in range(4):
        run.run_to("run_fncall")
        c_rsp = run.registers()["rsp"]
        run.run_to("fncall_trap")
        user = run.registers()
        run.step()
        inside = run.registers()
        assert c_rsp - 128 < inside["rsp"] < c_rsp
        changed = [name for name in inside if inside[name] != user[name]]
        assert sorted(changed) == ["rip", "rsp"]


def test_of_a_user_s_memory_one_word_of_tls_and_one_of_stack_are_written(run):
    for _ in range(4):
        run.run_to("run_fncall")
        context = context_at(run, run.registers()["rdi"])
        stack, tls = context["rsp"] - 256, context["fsbase"]
        pattern = words(32)
        run.write(stack, struct.pack("<32Q", *pattern))
        own, _, turns = run.words(tls, 3)
        turn(run)
        assert run.words(stack, 31) == pattern[:31]
        assert run.words(tls, 3)[::2] == [own, turns]


def test_c_s_library_works_after_each_way(run):
    said = run.go().splitlines()
    assert said[-1].startswith("quit n=65536 ")
    assert len(said) == 19


# ---- the game

@pytest.mark.parametrize("way", WAYS)
def test_the_log_names_the_switches_1_2_4_8_and_who_speaks_from_where(program, way):
    played = play(program, "--switches=1000000", *options_of(program, way))
    boot, *switches, end = played.stdout.splitlines()
    assert (played.returncode, played.stderr) == (0, "")
    assert boot == f"boot prog=fncall fsbase_by={way}"
    assert re.fullmatch(r"quit n=1000000 clocks=\d+\.\d", end)
    got = [machines.fields(line) for line in switches]
    assert [(line["n"], line["from"], line["to"], line["turns"]) for line in got] == [
        ("1", "A", "B", "1"), *((str(1 << k), "B", "A", str(1 << k >> 1)) for k in range(1, 20))]
    assert len({line["fsbase"] for line in got[:1]} | {line["fsbase"] for line in got[1:]}) == 2


def test_a_game_ends_where_it_is_told_to(program):
    for n in (1, 2, 3, 5, 1023, 1024):
        assert play(program, f"--switches={n}").stdout.splitlines()[-1].startswith(f"quit n={n} ")


def test_the_clocks_are_those_of_a_turn_and_looks_take_no_part(program):
    """Few turns with as many looks, in a terminal, take no more clocks each than many do."""
    if not shutil.which("script"):
        pytest.skip("no script(1) here, which makes a terminal")

    def clocks(command, **options):
        return float(re.findall(r"clocks=(\S+)", subprocess.run(command, **options, capture_output=True, text=True,
                                                                check=True, timeout=30).stdout)[-1])

    many = clocks([program, "--switches=65536"])
    few = clocks(["script", "-qec", f"{program} --switches=8", "/dev/null"], stdin=subprocess.DEVNULL)
    assert 13 < many < 1e6, "96 instructions; a CPU does 8 in a clock at best"
    assert few < 1e6, "a ball flies for some hundred million"


def test_in_a_terminal_a_ball_flies_there_and_back(program):
    if not shutil.which("script"):
        pytest.skip("no script(1) here, which makes a terminal")
    shown = subprocess.run(["script", "-qec", f"{program} --switches=2", "/dev/null"], timeout=60,
                           stdin=subprocess.DEVNULL, capture_output=True).stdout.decode()
    frames = re.findall(r"\r\x1b\[K  A (\d+) \|( *)o( *)\| (\d+) B", shown)
    assert {len(left) + len(right) for _, left, right, _ in frames} == {32}
    assert [len(left) for _, left, _, _ in frames] == [*range(33), *range(32, -1, -1)]
    assert [frames[0][::3], frames[-1][::3]] == [("1", "0"), ("1", "1")]
    assert "\r\x1b[Kswitch n=2 from=B to=A" in shown


def test_help(program):
    asked = play(program, "--help")
    assert (asked.returncode, asked.stderr) == (0, "") and asked.stdout.startswith("usage: fncall ")


@pytest.mark.parametrize("argument, message", [
    ("--switches=", 'not ""'), ("--switches=0", 'not "0"'), ("--switches=-1", 'not "-1"'),
    ("--switches= 1", 'not " 1"'), ("--switches=12x", 'not "12x"'), ("--switches=9223372036854775808", "from 1 to"),
    ("--switches=99999999999999999999", "from 1 to"), ("--switches", 'unknown argument "--switches"'),
    ("7", 'unknown argument "7"')])
def test_a_wrong_argument_is_told(program, argument, message):
    tried = play(program, argument)
    assert (tried.returncode, tried.stdout) == (2, "")
    assert message in tried.stderr and "fncall --help" in tried.stderr


def test_output_that_goes_nowhere_is_an_error(program):
    with open("/dev/full", "w") as full:
        tried = play(program, stdout=full)
    assert tried.returncode == 1 and tried.stderr == "fncall: cannot write: No space left on device\n"


def test_no_wrfsbase_is_told(program):
    at_hwcap2, fsgsbase = 26, 2
    with Tracee(program, "--wrfsbase") as run:
        top = run.registers()["rsp"]
        stack = run.read(top, 16384)
        words = struct.unpack(f"<{len(stack) // 8}Q", stack[:len(stack) // 8 * 8])
        at = next(n for n in range(len(words)) if words[n] == at_hwcap2 and words[n + 1] < 256
                  and words[n - 2] < 64 and words[n + 2] < 64)
        run.write(top + 8 * (at + 1), struct.pack("<Q", words[at + 1] & ~fsgsbase))
        said = run.go()
    assert said == "fncall: this CPU or this Linux has no wrfsbase; try without --wrfsbase\n"


# ---- what programs/fncall/README.md says

@pytest.mark.parametrize("way", BENCH.WAYS)
def test_a_switch_takes_as_many_instructions_as_the_page_says(program, way):
    row = re.search(rf"^\| `{way}`.*?\| (\d+) \| (\d+) \|", README, re.M)
    options = BENCH.WAYS[way]
    if "this Linux has no" in play(program, "--switches=1", *options).stderr:
        pytest.skip(f"no {way} here")
    everything, assembly = BENCH.count(program, *options)
    assert assembly == int(row[1])
    compiler = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True).stdout.strip()
    if re.search(r"by gcc (\d+)", README)[1] == compiler:
        assert everything == int(row[2])


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_what_the_page_links_to_is_there(link):
    assert (ROOT / "programs/fncall" / link).exists()


def test_the_bench_says_how_it_is_used():
    asked = subprocess.run(["/usr/bin/python3", ROOT / "scripts/ringside", "fncall", "--help"], capture_output=True, text=True)
    assert (asked.returncode, asked.stderr) == (0, "") and "usage: scripts/ringside fncall\n" in asked.stdout


# ---- make fncall

@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_compiler_has_no_remarks_and_its_program_plays(tmp_path, compiler):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    made = make(ROOT, tmp_path, f"CC={compiler}")
    assert (made.returncode, made.stdout) == (0, "")
    assert play(str(tmp_path / "fncall/fncall")).stdout.splitlines()[-1].startswith("quit n=65536 ")


@pytest.mark.parametrize("system", ["Darwin arm64", "Linux aarch64", "Linux i686"])
def test_on_another_machine_make_fncall_says_what_it_wants(tmp_path, system):
    (tmp_path / "uname").write_text(f"#!/bin/sh\necho {system}\n")
    (tmp_path / "uname").chmod(0o755)
    made = make(ROOT, tmp_path / "build", path=f"{tmp_path}:{os.environ['PATH']}")
    assert made.returncode == 2
    assert f"for Linux on x86-64, not for {system}: build it there" in made.stdout
    assert not (tmp_path / "build").exists()
