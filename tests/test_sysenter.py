"""SYSENTER: three MSRs, flat segments, and pages that protect: on QEMU and on Bochs."""

import re

from ringside.attacks import msrs
from ringside.costs import counts, designs
from ringside.emulators import debuggers
from ringside.emulators import machines
from ringside.emulators.debuggers import GENERAL, NAMES, knowing
import pytest

PROGRAM = "sysenter"
EMULATORS = knowing(PROGRAM)
QEMU, BOCHS = EMULATORS
SYMBOLS, BASE = QEMU.symbols, QEMU.base
PAGE = (machines.ROOT / "programs/sysenter/README.md").read_text()
IF, NT, AC, ID, DF = 0x200, 0x4000, 0x40000, 0x200000, 0x400
ODD = NT | AC | ID | DF
FRAME, ESP0 = 52, 4
WORDS = "gs fs es ds edi esi ebp pusha_esp ebx edx ecx eax eflags".split()
CODE, STACK_END = 0x08048000, 0x08050000
PRESENT, WRITABLE, USER = 1, 2, 4
CALL, CALL_BYTES = b"\xe8", 3   # in real mode
STAYS_OUT = 'boot prog=sysenter stays-out="the CPU has no sysenter" signature='


@pytest.fixture(scope="module")
def floppy(tmp_path_factory):
    return machines.floppy_that_starts(PROGRAM, tmp_path_factory.mktemp(PROGRAM) / "floppy.img")


@pytest.fixture(params=EMULATORS, ids=NAMES)
def machine(request, floppy):
    with request.param(floppy) as machine:
        yield machine


def at(name):
    return BASE + SYMBOLS[name]


def saved(machine, letter):
    """A proc that waits."""
    return {name: machine.word(at(f"proc_{letter}") - FRAME, 4 * place) for place, name in enumerate(WORDS)}


def ring3(name):
    """An address of ring 3's, as the ELF file has it."""
    return machines.linked(machines.BUILD / "sysenter.elf")[name]


def news(machine, word, since=0):
    return [machines.fields(line) for line in machine.log()[since:] if line.startswith(f"{word} ")]


# ---- where sysenter leads

def test_the_four_rows_are_neighbours_and_flat_and_the_msrs_say_where(machine):
    machine.run_to(ring3("proc_code"))
    rows = [machine.read(at("gdt") + selector, 8) for selector in range(0x30, 0x50, 8)]
    assert [row[5] & 0xfe for row in rows] == [0x9a, 0x92, 0xfa, 0xf2]
    assert {row[:5] + row[6:] for row in rows} == {b"\xff\xff\0\0\0\xcf\0"}
    msr, = news(machine, "msr")
    assert (msr["cs"], int(msr["esp"], 16), int(msr["eip"], 16)) == ("0030", at("tss") + ESP0, at("gate"))
    base, _ = machine.registers()["idtr"]
    doors = [vector for vector in range(0x30) if machine.read(base + 8 * vector + 5, 1)[0] & 0x60]
    assert doors == [3, 4], "and no other"


def odd(machine):
    """Flags that a proc may have set; Bochs' debugger sets none."""
    if not isinstance(machine, debuggers.DebuggedBochs):
        machine.set(eflags=machine.values()["eflags"] | ODD)


def test_sysenter_keeps_nothing_and_sysexit_gives_back_what_the_gate_has_kept(machine):
    machine.run_to(ring3("proc_sysenter"))
    own = {name: 0x1000001 * place for place, name in enumerate(GENERAL, 1) if name not in ("ecx", "edx")}
    machine.set(**own)
    odd(machine)
    before = machine.values()
    assert (before["ecx"], before["edx"]) == (STACK_END, ring3("proc_back"))
    machine.run_to("gate")
    inside = machine.values()
    changed = {name for name in inside if inside[name] != before[name]}
    assert changed == {"cs", "ss", "eip", "esp", "eflags"}
    assert (inside["cs"], inside["ss"], inside["esp"]) == (0x30, 0x38, at("tss") + ESP0)
    assert inside["eflags"] == before["eflags"] & ~IF
    assert machine.word(at("tss") + ESP0) == at("proc_a")
    machine.run_to(ring3("proc_code"))
    b = machine.values()
    assert not b["eflags"] & ODD and b["eflags"] & IF
    assert machine.registers()["cr3"] == int(news(machine, "msr")[0]["b"], 16)
    assert {b[name] for name in own} == {0} and (b["ecx"], b["edx"]) == (STACK_END, CODE)
    assert (b["cs"], b["ss"], b["ds"], b["es"], b["fs"], b["gs"]) == (0x43, 0x4b, 0x4b, 0x4b, 0, 0)
    frame = saved(machine, "a")
    assert {name: frame[name] for name in own} == own and frame["eflags"] == before["eflags"] & ~IF
    machine.run_to(ring3("proc_back"))
    assert machine.values() == {**before, "esp": STACK_END, "eip": ring3("proc_back")}


def test_at_full_speed_the_gate_alone_does_all_of_it(machine):
    """No look is due: no C, and the same comes back."""
    machine.run_to(ring3("proc_sysenter"))
    machine.write(at("switches_left"), (100).to_bytes(4, "little"))
    machine.set(ebx=0x12345678, ebp=0x9abcdef0)
    odd(machine)
    before = machine.values()
    assert machine.run_to(ring3("proc_code"), ring3("proc_back"), "watched_switch") == ring3("proc_code")
    assert (machine.values()["ebx"], machine.values()["esi"]) == (0, 0) and not machine.values()["eflags"] & ODD
    assert machine.word(at("tss") + ESP0) == at("proc_b")
    assert machine.registers()["cr3"] == int(news(machine, "msr")[0]["b"], 16)
    machine.run_to(ring3("proc_back"))
    assert machine.values() == {**before, "eip": ring3("proc_back")}


def test_an_nmi_in_front_of_the_first_instruction_does_no_harm(floppy):
    """esp is at esp0 there: what is pushed goes below it."""
    with QEMU(floppy) as machine:
        machine.run_to("gate")
        before = machine.read(at("tss") + ESP0, 100)
        machine.hmp("nmi")
        machine.run_to("nmi")
        assert machine.values()["esp"] == at("tss") + ESP0 - 12
        machine.run_to(ring3("proc_code"))
        assert machine.read(at("tss") + 2 * ESP0, 96) == before[4:]
        machine.go()
        machine.wait_log("^switch n=64 ")
        machine.halt()
        assert news(machine, "stray")[0]["nmi"] == "1" and not news(machine, "panic") + news(machine, "fault")


def test_interrupts_come_to_ring_3_and_procs_keep_all_that_they_have(machine):
    """The alarm, at a proc that does not yield for half a second."""
    code = machine.run_to(ring3("proc_sysenter"))
    machine.write(code, b"\xeb\xfe")
    machine.set(ebx=0x12345678, ebp=0x9abcdef0)
    before = machine.values()
    machine.run_to("fault")
    assert machine.values()["edx"] == 0x20
    machine.run_to(code)
    now = machine.values()
    assert {**now, "eflags": now["eflags"] & ~machine.stray_flags} == before


# ---- memory

def test_a_proc_may_touch_its_own_pages_and_no_others(machine):
    """Every page that A's directory and tables have for ring 3; and none of these is B's, but the code."""
    machine.run_to(ring3("proc_sysenter"))
    seen = {letter: {} for letter in "ab"}
    msr, = news(machine, "msr")
    pool = 0xfffd0000
    first = int(msr["a"], 16) - 4 * 0x1000      # PAGES_OF_RING0 and the code lie in front

    def table(physical):
        raw = machine.read(pool + physical - first, 4096)
        return [int.from_bytes(raw[n:n + 4], "little") for n in range(0, 4096, 4)]

    for letter in "ab":
        for up, entry in enumerate(table(int(msr[letter], 16))):
            if entry & PRESENT and entry & USER:
                for low, page in enumerate(table(entry & ~0xfff)):
                    if page & PRESENT and page & USER:
                        seen[letter][up << 22 | low << 12] = (page & ~0xfff, bool(page & entry & WRITABLE))
    for pages in seen.values():
        assert {address: writable for address, (_, writable) in pages.items()} == {
            CODE: False, 0x08049000: True, 0x0804d000: True, 0x0804f000: True}
    both = {page for page, _ in seen["a"].values()} & {page for page, _ in seen["b"].values()}
    assert both == {seen["a"][CODE][0]}


# ---- mistakes

MISTAKES = {1: ("0e", "0005"), 2: ("0d", "0000"), 3: ("0d", "0000"), 4: ("0e", "0006"), 5: ("01", "none"), 6: ("20", "none"),
            7: ("0e", "0005"), 8: ("0d", "0182")}


def test_each_mistake_ends_a_where_the_page_says(machine):
    for key, expected in MISTAKES.items():
        since = len(machine.log())
        machine.press(str(key))
        machine.go()
        machine.wait_log("^end proc=A alive=B", since=since)
        machine.halt()
        fault, = news(machine, "fault", since)
        assert (fault["vector"], fault["error"]) == expected, key
        eip = int(fault["cs:eip"].split(":")[1], 16)
        assert fault["cs:eip"].startswith("0043:") and eip == {5: ring3("proc_back"), 7: BASE}.get(
            key, ring3(f"proc_fault_{key}" if f"proc_fault_{key}" in SYMBOLS else "proc_back")), key


# ---- the MSRs, bent from outside

@pytest.mark.sample(5)
@pytest.mark.parametrize("emulator", NAMES)
@pytest.mark.parametrize("bent", msrs.MSRS, ids=lambda bent: bent.name)
def test_an_msr_that_is_wrong_shows_where_the_table_says(bent, emulator, floppy):
    assert msrs.wrong(emulator, bent, floppy) == []


def test_sysenter_itself_refuses_a_null_cs(machine):
    """It has been in order at sysexit: an interrupt of ring 3, which leaves by iret, is when it becomes 0."""
    code = ring3("proc_sysenter")
    machine.run_to(code)
    machine.press("6")      # A never enters
    machine.run_to("fault")
    before = machine.values()
    assert before["edx"] == 0x20
    machine.write(before["eax"] + 4 * debuggers.FRAME.index("eip"), code.to_bytes(4, "little"))
    machine.set(eip=at("ckpt_wrmsr"), ecx=msrs.CS, eax=0, edx=0)
    machine.step()
    machine.set(**{name: before[name] for name in ("eip", "ecx", "eax", "edx")})
    machine.go()
    machine.wait_log("^fault ")
    fault = news(machine, "fault")[0]
    assert (fault["name"], fault["error"], fault["cs:eip"]) == ("#GP", "0000", f"0043:{code:08x}") and "while" not in fault


# ---- CPUs

@pytest.mark.parametrize("cpu, signature", [("486", "00000480"), ("pentium", "00000543"),
                                            ("pentium2,model=1,stepping=2", "00000612")])
def test_where_there_is_no_sysenter_it_says_so_and_stays_out(cpu, signature, floppy):
    with machines.Qemu(floppy, cpu=cpu) as pc:
        pc.wait_log(re.escape(STAYS_OUT + signature))
        pc.wait_screen("This CPU has no sysenter")
        assert len(pc.log()) == 1


def test_where_there_is_too_little_memory_it_stays_out(floppy):
    with QEMU(floppy) as machine:
        machine.base = debuggers.BASE
        machine.run_to(debuggers.BASE + debuggers.COM_START)
        machine.write(0x413, (64 + 191).to_bytes(2, "little"))
        machine.go()
        machine.wait_screen("SYSENTER wants 192 KiB of memory")
        assert machine.log() == ['boot prog=sysenter stays-out="too little memory" paragraphs=00002fc0']


def test_qemus_486_executes_it_all_the_same(floppy):
    """Only cpuid says that it is not there: past that question the game plays."""
    with QEMU(floppy, cpu="486") as machine:
        machine.base = debuggers.BASE
        machine.run_to(debuggers.BASE + debuggers.COM_START)
        assert machine.read(debuggers.BASE + debuggers.COM_START, 1) == CALL
        machine.set(eip=machine.values()["eip"] + CALL_BYTES)
        machine.go()
        machine.wait_log("^switch n=4 ")


@pytest.mark.parametrize("cpu", ["pentium2,model=1,stepping=3", "max"])
def test_where_there_is_one_it_plays(cpu, floppy):
    with machines.Qemu(floppy, cpu=cpu) as pc:
        pc.wait_log("^switch n=1 ")


def test_bochs_usual_cpu_has_none_and_a_pentium_iii_has(floppy):
    with machines.Bochs(floppy, magic=False) as bochs:
        bochs.send("c")
        bochs.wait_log(STAYS_OUT)


# ---- what the page says

def test_a_switch_takes_as_many_instructions_as_the_page_says_and_no_more_than_p_procs():
    promised, others = map(int, re.search(r"^(\d+) instructions from A's `sysenter`.*P_PROC takes (\d+)", PAGE, re.M).groups())
    found = counts.counted(designs.BY_NAME["SYSENTER"])
    assert [len(found.steps[who]) for who in "AB"] == [promised, promised]
    assert promised <= others == len(counts.counted(designs.P_PROC).steps["A"])
    assert found.state == FRAME == int(re.search(r"kept in (\d+) bytes", PAGE)[1])


def test_program_and_page_are_short():
    folder = machines.ROOT / "programs/sysenter"
    assert sum(len(path.read_text().splitlines()) for path in folder.iterdir()) <= 900


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", PAGE))))
def test_what_the_page_links_to_is_there(link):
    assert (machines.ROOT / "programs/sysenter" / link).exists()
