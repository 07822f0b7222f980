"""FNCALL with fs left to libc: user code that was compiled for fs comes to use gs, by a fault handler.

The program that ships is judged from outside, by a debugger (ptrace) that plays a user of it: it writes
instructions into a user's code, lets them run, and looks at all of the CPU's state.
"""

import pathlib
import random
import re
import signal
import struct

import pytest

import fs_encodings
from fncall_user import (CF, CPU_FLAGS, FNCALL, GS, HERE, PAGE, STACK, SYS_KILL, SYS_MMAP, SYS_MUNMAP, SYS_SIGACTION, TOP,
                         TRAP_REFUSED, Counts, User, agree, laid_out, only_numbers, override_of, run_row, seen)
from fs_encodings import MASK, REGISTERS, ROWS, WITHOUT_MEANING
from ringside.costs.tracee import INT3, Tracee
from ringside.emulators.machines import ROOT, Missing
from test_fncall import README, context_at, play, program, pytestmark, words  # noqa: F401 (fixtures)


@pytest.fixture(scope="module")
def plain(program):  # noqa: F811
    with User(program) as user:
        yield user


@pytest.fixture(scope="module")
def moved(program):  # noqa: F811
    with User(program, FNCALL) as user:
        yield user


@pytest.fixture
def fresh(program):  # noqa: F811
    with User(program, FNCALL) as user:
        yield user


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    rows = HERE + WITHOUT_MEANING
    return dict(zip(map(id, rows), fs_encodings.assembled(rows, tmp_path_factory.mktemp("rows"))))


# ---- one instruction, in both worlds

@pytest.mark.parametrize("number", range(len(HERE)), ids=lambda number: HERE[number].text)
def test_an_encoding_does_by_gs_what_it_did_by_fs(plain, moved, codes, number):
    """Before and after: both against the model, and against each other in what it leaves out."""
    row = HERE[number]
    code = codes[id(row)]
    for turn in range(3):
        seed = f"{row.text} {turn}"
        state, before, extended = run_row(plain, row, code, seed)
        agree(row, state, before, code, extended)
        counts = moved.counts()
        state, after, extended = run_row(moved, row, code, seed, write=turn == 0)
        agree(row, state, after, code, extended)
        assert after["eflags"] == before["eflags"]
        assert only_numbers(after["extended"]) == only_numbers(before["extended"])
        spent = Counts(*(now - then for now, then in zip(moved.counts(), counts)))
        assert spent == (Counts(1, 1, 0) if turn == 0 else Counts(0, 0, 0)), "once, and never again"
        found = moved.read(moved.code, len(code))
        changed = [at for at in range(len(code)) if found[at] != code[at]]
        assert changed == [override_of(code)] and found[changed[0]] == GS
        assert plain.read(plain.code, len(code)) == code


def test_the_table_is_long_enough():
    assert len(HERE) >= 60 and len({row.asm for row in ROWS}) >= len(ROWS) - 1


@pytest.mark.parametrize("number", range(len(WITHOUT_MEANING)), ids=lambda number: WITHOUT_MEANING[number].text)
def test_a_prefix_that_means_nothing_stays(moved, codes, number):
    row = WITHOUT_MEANING[number]
    code, counts = codes[id(row)], moved.counts()
    state, after, extended = run_row(moved, row, code, row.text)
    agree(row, state, after, code, extended)
    assert moved.counts() == counts and moved.read(moved.code, len(code)) == code


def test_the_handler_keeps_every_register_and_all_of_x87_sse_and_avx(moved):
    """A cmp by fs changes flags alone: all else is as before."""
    code = b"\x64\x48\x39\x03"  # cmp %rax, %fs:(%rbx)
    row = fs_encodings.Row("cmp %rax, @", lambda m: {})
    for seed in range(20):
        counts = moved.counts()
        state, registers, extended = laid_out(moved, row, seed)
        before = moved.extended()
        moved.play(code, registers)
        assert moved.counts().rewritten == counts.rewritten + 1
        after = moved.registers()
        assert {name: after[name] for name in REGISTERS} == {name: registers[name] & MASK for name in REGISTERS}
        assert only_numbers(moved.extended()) == only_numbers(before)
        assert all(after[name] == moved.really[name] for name in ("fs_base", "gs_base", "cs", "ss", "ds", "es", "fs", "gs"))


# ---- what would happen without it

def test_libc_s_data_is_read_and_written_by_fs_and_a_null_base_faults(program):  # noqa: F811
    """docs: a small offset hits libc's own words; nothing is mapped at page 0 (the page's table)."""
    with User(program) as user:
        libc_s = 0
        with Tracee(program) as other:
            other.run_to("run_fncall")
            assert other.registers()["fs_base"] != 0
        user_fs = user.registers()["fs_base"]
        stack = user.words(user_fs + 8, 1)[0]
        libc_s = user.words(stack + 8, 1)[0]  # SAVED_FSBASE
        assert user.words(libc_s, 1) == [libc_s], "libc's word at fs:0 is its own address"
        kept = user.words(libc_s, 6)
        for offset in (0, 8, 16, 0x28):
            user.play(b"\x64\x48\x8b\x04\x25" + struct.pack("<I", offset), {"fs_base": libc_s})
            assert user.registers()["rax"] == kept[offset // 8]
        user.play(b"\x64\x48\xff\x04\x25\x10\x00\x00\x00", {"fs_base": libc_s})  # proc's incq %fs:TLS_TURNS
        assert user.words(libc_s + 16, 1) == [kept[2] + 1], "libc's pointer to itself is ruined"
        user.write(libc_s + 16, struct.pack("<Q", kept[2]))
        user.delivers.clear()
        for base in (0, 0x800):
            with pytest.raises(Missing, match="SIGSEGV"):
                user.play(b"\x64\x48\xff\x04\x25\x10\x00\x00\x00", {"fs_base": base})


def test_fs_is_libc_s_all_the_time(fresh):
    libc_s = fresh.registers()["fs_base"]
    for place in ("fncall_trap", fresh.c, "run_fncall", "fncall_trap"):
        fresh.run_to(place)
        assert fresh.registers()["fs_base"] == libc_s


def test_libc_s_storage_is_closed_while_a_user_runs_and_open_while_c_does(fresh):
    def access():
        base = fresh.registers()["fs_base"]
        for line in pathlib.Path(f"/proc/{fresh.pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            start, end = (int(part, 16) for part in span.split("-"))
            if start <= base < end:
                return rights
    assert access() == "---p"
    fresh.run_to(fresh.c)
    assert access() == "rw-p"


def test_each_user_has_its_own_base_in_gs(fresh):
    bases = [fresh.registers()["gs_base"]]
    fresh.run_to("run_fncall")      # the door's own access by fs is gs by then
    for _ in range(3):
        fresh.run_to("fncall_trap")
        bases.append(fresh.registers()["gs_base"])
    assert len(set(bases)) == 2


# ---- the page of the code

def rights_of(user, place):
    for line in pathlib.Path(f"/proc/{user.pid}/maps").read_text().splitlines():
        span, rights = line.split()[:2]
        start, end = (int(part, 16) for part in span.split("-"))
        if start <= place < end:
            return rights


def test_a_page_is_writable_only_while_it_is_written(fresh):
    assert rights_of(fresh, fresh.code) == "r-xp"
    fresh.play(b"\x64\x8b\x03", {"rbx": STACK})
    assert fresh.counts().rewritten == 1 and rights_of(fresh, fresh.code) == "r-xp"


@pytest.mark.parametrize("number", range(len(HERE)), ids=lambda number: HERE[number].text)
def test_the_handler_finds_what_another_thread_has_rewritten_meanwhile(moved, codes, number):
    """The fault of the old byte arrives when the new one is there already: as if another thread had been faster."""
    row = HERE[number]
    code, counts = codes[id(row)], moved.counts()
    state, registers, extended = laid_out(moved, row, f"late {row.text}")
    usual, moved.delivers = moved.delivers, set()
    with pytest.raises(Missing, match="SIGSEGV"):
        moved.play(code, registers)
    moved.write(moved.code + override_of(code), bytes([GS]))
    moved.resume(signal.SIGSEGV)
    moved.delivers = usual
    moved.set(rip=moved.registers()["rip"] - len(INT3))
    agree(row, state, seen(moved, state), code, extended)
    assert Counts(*(now - then for now, then in zip(moved.counts(), counts))) == Counts(1, 0, 1)


def test_a_thread_waits_until_no_other_one_has_the_page_open(fresh):
    fresh.write("page_is_open", struct.pack("<I", 1))
    code = b"\x64\x8b\x03"
    fresh.write(fresh.code, code + INT3)
    fresh.set(**{**fresh.really, "rbx": STACK, "rip": fresh.code})
    for _ in range(500):
        fresh.run_for(0.02)
        if fresh.counts().faults:   # the handler waits
            break
    fresh.run_for(0.02)
    assert fresh.counts() == Counts(1, 0, 0) and fresh.read(fresh.code, 1) == code[:1]
    fresh.write("page_is_open", struct.pack("<I", 0))
    fresh.resume()
    assert fresh.registers()["rip"] == fresh.code + len(code) + 1
    assert fresh.counts() == Counts(1, 1, 0)


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_that_execute_the_same_code_meanwhile_lose_nothing(program, threads):  # noqa: F811
    for _ in range(3):
        said = play(program, FNCALL, "--user=many", f"--threads={threads}", "--switches=100")
        assert (said.returncode, said.stderr) == (0, "")
        *_, end = said.stdout.splitlines()
        turns = re.findall(r"^thread n=\d+ switches=100 a_turns=(\d+) b_turns=(\d+)$", said.stdout, re.M)
        assert turns == [(str(256 * 50), str(256 * 50))] * threads
        found = dict(re.findall(r"(\w+)=(\d+)", end))
        assert found["rewritten"] == "259" and found["n"] == str(100 * threads)
        assert int(found["faults"]) == 259 + int(found["late"])


def test_a_signal_s_handler_that_wants_fs_itself_interrupts_and_faults_as_well(fresh):
    """Re-entrant: a fault within what has interrupted a user, on the same stack for signals."""
    handler, restorer, main = fresh.code, fresh.code + 64, fresh.code + 128
    user_1, sa_onstack, sa_restorer = 10, 0x08000000, 0x04000000
    fresh.write(handler, b"\x64\x48\xff\x04\x25" + struct.pack("<I", STACK + 8) + b"\xc3")    # incq %fs:...; ret
    fresh.write(restorer, b"\xb8\x0f\x00\x00\x00\x0f\x05")                                    # rt_sigreturn(2)
    # Signals itself, in the middle of what wants fs: incq, kill(2), incq.
    fresh.write(main, b"\x64\x48\xff\x04\x25" + struct.pack("<I", STACK) + b"\x0f\x05"
                + b"\x64\x48\xff\x04\x25" + struct.pack("<I", STACK) + INT3)
    fresh.write(fresh.tls + STACK, bytes(16))
    action = fresh.tls + STACK + 0x80
    for flags_of, rounds in ((sa_onstack | sa_restorer, 2),):
        fresh.write(action, struct.pack("<QQQQ", handler, flags_of, restorer, 0))
        assert fresh.system_call(SYS_SIGACTION, user_1, action, 0, 8) == 0
        fresh.delivers.add(user_1)
        for done in range(1, rounds + 1):
            fresh.set(**{**fresh.really, "rip": main, "rax": SYS_KILL, "rdi": fresh.pid, "rsi": user_1, "orig_rax": MASK,
                         "rbx": 0x1111})
            fresh.run_to(main + 20)
            assert fresh.words(fresh.tls + STACK, 2) == [2 * done, done]
            assert fresh.registers()["rbx"] == 0x1111
    assert fresh.counts() == Counts(3, 3, 0)


# ---- what is refused, and what is the user's own

def refused(fresh, code, registers, at=None):
    if at is None:
        return fresh.until_it_traps(code, registers)
    fresh.write(at, code)
    fresh.set(**{**fresh.really, **registers, "rip": at, "orig_rax": MASK})
    fresh.run_to(fresh.c)
    return context_at(fresh, fresh.place("game"))


def said_at_the_end(fresh):
    return next(line for line in fresh.go().splitlines() if line.startswith(("refused", "fault")))


def test_an_instruction_that_goes_on_in_a_page_that_is_not_there_is_refused(fresh):
    page = fresh.system_call(SYS_MMAP, 0, 2 * PAGE, 7, 0x22, MASK, 0)
    assert fresh.system_call(SYS_MUNMAP, page + PAGE, PAGE) == 0
    code = b"\x64\x48\x8b\x04\x25\x10\x00\x00\x00"
    fresh.declare(page, page + PAGE)
    found = refused(fresh, code[:5], {}, page + PAGE - 5)
    assert (found["trap_num"], found["rip"]) == (TRAP_REFUSED, page + PAGE - 5)
    assert 'why="the instruction goes on in a page that is not there"' in said_at_the_end(fresh)


def test_an_instruction_at_the_very_end_of_what_is_mapped_is_rewritten(fresh):
    """Nothing behind its last byte is read."""
    page = fresh.system_call(SYS_MMAP, 0, 2 * PAGE, 7, 0x22, MASK, 0)
    assert fresh.system_call(SYS_MUNMAP, page + PAGE, PAGE) == 0
    fresh.declare(page, page + PAGE)
    code = b"\x64\xff\x23"  # jmp *%fs:(%rbx)
    fresh.write(page + PAGE - len(code), code)
    fresh.write(fresh.code, INT3)
    fresh.write(fresh.tls + STACK, struct.pack("<Q", fresh.code))
    fresh.set(**{**fresh.really, "rbx": STACK, "rip": page + PAGE - len(code)})
    fresh.run_to(fresh.code)
    assert fresh.read(page + PAGE - len(code), 3) == b"\x65\xff\x23"


def test_one_that_straddles_two_pages_that_are_there_is_rewritten(fresh):
    page = fresh.system_call(SYS_MMAP, 0, 2 * PAGE, 7, 0x22, MASK, 0)
    fresh.declare(page, page + 2 * PAGE)
    code = b"\x64\x8b\x83" + struct.pack("<i", STACK)
    for split in range(1, len(code)):
        place = page + PAGE - split
        fresh.play(code, {"rbx": 0}, at=place)
        assert fresh.read(place, len(code)) == b"\x65" + code[1:]
        assert rights_of(fresh, page) == "r-xp"
        fresh.write(place, bytes(len(code)))


def test_code_that_was_not_declared_is_refused(fresh):
    page = fresh.system_call(SYS_MMAP, 0, PAGE, 7, 0x22, MASK, 0)
    found = refused(fresh, b"\x64\x8b\x03", {"rbx": STACK}, page)
    assert found["trap_num"] == TRAP_REFUSED and fresh.read(page, 1) == b"\x64"
    assert 'why="no declared code of a user: libc\'s own fs must stay"' in said_at_the_end(fresh)


def test_an_instruction_that_the_decoder_does_not_know_is_refused(fresh):
    if "avx512_fp16" not in CPU_FLAGS:
        pytest.skip("no CPU here executes what the decoder does not know")
    found = refused(fresh, b"\x64\x62\xf5\x7c\x08\x58\x03", {"rbx": STACK})  # vaddph %fs:(%rbx), %xmm0, %xmm0
    assert found["trap_num"] == TRAP_REFUSED
    assert 'why="no instruction that the decoder knows"' in said_at_the_end(fresh)


def test_a_page_that_the_host_keeps_shut_is_refused(fresh):
    """A file that was opened to be read, mapped and shared: Linux lets nothing write there."""
    path = fresh.tls + STACK + 0x80
    fresh.write(path, b"/proc/self/exe\0")
    file = fresh.system_call(2, path, 0, 0)
    page = fresh.system_call(SYS_MMAP, 0, PAGE, 5, 1, file, fresh.code_in_file() & -PAGE)
    assert page > 0
    fresh.declare(page, page + PAGE)
    place = page + fresh.code_in_file() % PAGE
    fresh.set(**{**fresh.really, "rip": place, "orig_rax": MASK})
    fresh.run_to(fresh.c)
    assert 'why="the host lets nothing write to that page"' in said_at_the_end(fresh)


@pytest.mark.parametrize("user, why", [
    ("summed", "its code sums itself up: a changed byte would be noticed"),
    ("rdfsbase", "rdfsbase and its like read or write the base itself, which is the host's")])
def test_a_user_that_cannot_be_moved_is_refused_in_words(program, user, why):  # noqa: F811
    tried = play(program, FNCALL, f"--user={user}")
    assert tried.returncode == 1 and tried.stderr == ""
    assert f'why="{why}" offset=0x' in tried.stdout
    assert " rewritten=0 " in tried.stdout and "switch " not in tried.stdout


@pytest.mark.parametrize("user", ["summed", "many"])
def test_with_fs_of_its_own_that_user_plays(program, user):  # noqa: F811
    assert play(program, f"--user={user}", "--switches=1000").stdout.splitlines()[-1].startswith("quit n=1000 ")


def test_rdfsbase_would_not_fault_but_tell_the_host_s_base(fresh):
    if "fsgsbase" not in CPU_FLAGS:
        pytest.skip("this CPU has no rdfsbase")
    fresh.play(b"\xf3\x48\x0f\xae\xc0", {})
    assert fresh.registers()["rax"] == fresh.registers()["fs_base"] != fresh.tls
    assert fresh.counts().faults == 0


def test_a_real_fault_is_trap_14_with_its_address_and_all_registers(fresh):
    registers = {**dict(zip(REGISTERS, words(16, random.Random(1)))), "rbx": 0x123450, "rsp": fresh.tls + TOP}
    found = fresh.until_it_traps(b"\x48\x89\x43\x08", {**registers, "eflags": 0x203})  # mov %rax, 8(%rbx)
    assert (found["trap_num"], found["error_code"], found["rip"]) == (14, 6, fresh.code)
    assert fresh.words(fresh.place("game") + 168, 1) == [0x123458]
    assert {name: found[name] for name in REGISTERS} == registers
    assert found["rflags"] & CF
    assert fresh.registers()["fs_base"] == fresh.really["fs_base"]
    assert said_at_the_end(fresh) == "fault user=A vector=0e error=0006 address=0000000000123458 offset=0x60"


@pytest.mark.parametrize("code, registers, trap", [
    (b"\x65\x8b\x03", {"rbx": 1 << 33}, 14),               # by gs, to nowhere
    (b"\x64\x8b\x03", {"rbx": 1 << 33}, 14),               # by fs, and then by gs
    (b"\x65\x8b\x03", {"rbx": 1 << 62}, 13),               # no such address
    (b"\x64\x8b\x03", {"rbx": 1 << 62}, 13),
    (b"\x48\x8b\x03", {"rbx": 1 << 62}, 13),
    (b"\x65\x0f\x28\x03", {"rbx": STACK + 8}, 13),         # movaps, not aligned
    (b"\x0f\x0b", {}, 6), (b"\x31\xc9\xf7\xf1", {}, 0),    # ud2, div by 0
    (b"\x64\x0f\x0b", {}, 6),
    (b"\x64\xaa", {"rdi": 0x1234}, 14),                   # stos: fs does not move its operand
    (b"\xff\xe3", {"rbx": 0x5000}, 14),                    # a jump to nowhere
    (b"\xf4", {}, 13)], ids=lambda value: value.hex() if isinstance(value, bytes) else "")
def test_what_is_not_fs_s_fault_arrives_with_its_vector(fresh, code, registers, trap):
    assert fresh.until_it_traps(code, registers)["trap_num"] == trap
    by_fs = code[:1] == b"\x64" and code[1:] == b"\x8b\x03"
    assert fresh.counts().rewritten == by_fs and fresh.read(fresh.code, len(code)) == (b"\x65" if by_fs else code[:1]) + code[1:]


def test_c_s_control_words_and_an_empty_x87_stack_come_back_after_a_fault(fresh):
    before = fresh.floating()
    fresh.set_floating(0x9fc0, 0x27f)
    fresh.until_it_traps(b"\xd9\xe8\xd9\xe8\xc6\x04\x25\x00\x10\x00\x00\x01", {})  # fld1; fld1; movb to 0x1000
    assert fresh.floating() == before == (0x1f80, 0x37f)
    assert fresh.extended()[4] == 0, "x87's tags: all empty"


def test_a_fault_of_c_s_own_ends_the_program(fresh):
    fresh.run_to(fresh.c)
    fresh.set(rip=0x10)
    fresh.go()
    assert fresh.process.returncode == -signal.SIGSEGV


# ---- the program

@pytest.mark.parametrize("way", ["arch_prctl", "wrgsbase"])
def test_the_game_is_the_same(program, way):  # noqa: F811
    options = [FNCALL] + (["--wrfsbase"] if way == "wrgsbase" else [])
    if way == "wrgsbase" and "fsgsbase" not in CPU_FLAGS:
        pytest.skip("this CPU has no wrgsbase")
    played = play(program, *options, "--switches=4096")
    boot, *switches, end = played.stdout.splitlines()
    assert (played.returncode, played.stderr) == (0, "")
    assert boot == f"boot prog=fncall gsbase_by={way} fs=libc"
    assert len(switches) == 13
    assert re.fullmatch(r"quit n=4096 clocks=\d+\.\d first=\d+ faults=4 rewritten=4 late=0", end)


def test_the_first_turn_costs_more_than_later_ones(program):  # noqa: F811
    said = play(program, FNCALL, "--user=many", "--switches=4000").stdout
    first, later = int(re.search(r"first=(\d+)", said)[1]), float(re.search(r"clocks=(\S+)", said)[1])
    assert first > 3 * later


def test_a_user_that_follows_a_bad_pointer_ends_the_game_with_a_report(program):  # noqa: F811
    tried = play(program, FNCALL, "--user=wild")
    assert tried.returncode == 1
    assert "fault user=A vector=0e error=0006 address=0000000000001234 offset=0x20\n" in tried.stdout
    assert "quit n=2 " in tried.stdout
    assert play(program, "--user=wild").returncode == -signal.SIGSEGV


@pytest.mark.parametrize("arguments, message", [
    (["--threads=2"], 'it needs --fs-is-not-mine: "--threads"'), ([FNCALL, "--threads=0"], "from 1 to 64"),
    ([FNCALL, "--threads=65"], "from 1 to 64"), (["--user=me"], 'rdfsbase, not "me"')])
def test_a_wrong_argument_is_told(program, arguments, message):  # noqa: F811
    tried = play(program, *arguments)
    assert (tried.returncode, tried.stdout) == (2, "") and message in tried.stderr


# ---- what programs/fncall/README.md says

def test_the_page_has_every_refusal_in_the_program_s_words():
    words_of = re.findall(r'X\((\w+),\s*"(.*)"\)', (ROOT / "programs/fncall/rewrite.h").read_text())
    assert len(words_of) == 6
    for _, why in words_of:
        assert f'| "{why}" |' in README
