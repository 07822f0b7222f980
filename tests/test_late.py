"""ringside why: marks of mistakes that are refused only later, on machines that are put together here.

tests/kernels has each of these mistakes in a kernel (tests/test_why.py, all of them in `make test-kernels`).
"""

import struct
import types

import pytest

from ringside.laws import laws, stale
from ringside.recorder import trace
from ringside.why import astray, bochs, late, late_tasks, log, monitor, overwritten, source, story, unloaded, who, witness
from ringside.why.context import Context
from ringside.why.log import Event, Segment, State
from ringside.why.machine import Machine
from ringside.why.refusal import Refusal

CODE_0, DATA_0, CODE_3, DATA_3, GATE, TASK, OTHER_TASK = range(0x08, 0x40, 8)
GDT, IDT, STACK, CODE, TSS, OTHER_TSS = 0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000
FLAGS, NT, VM = 0x202, 1 << 14, 1 << 17
IRET, LRET_8, LJMP = b"\xcf", b"\xca\x08\x00", b"\xea"


def segment(selector, flags, base=0):
    return Segment(selector, base, 0xFFFFFFFF, flags)


def a_tss(base, busy):
    return (0x8B if busy else 0x89) << 40 | base << 16 | 0x67


class Made:
    """A machine without pages: flat segments of rings 0 and 3, two tasks, memory to be written."""

    def __init__(self, ring=0, **numbers):
        self.memory = bytearray(0x10000)
        for place, raw in ((CODE_0, 0x00CF9A000000FFFF), (DATA_0, 0x00CF92000000FFFF), (CODE_3, 0x00CFFA000000FFFF),
                           (DATA_3, 0x00CFF2000000FFFF), (TASK, a_tss(TSS, True)), (OTHER_TASK, a_tss(OTHER_TSS, False))):
            self.put(GDT + place, raw, size=8)
        code, data = ((CODE_0, DATA_0), (CODE_3 | 3, DATA_3 | 3))[ring == 3]
        self.segments = {name: segment(0, 0) for name in log.SEGMENTS.values()}
        self.segments |= {"cs": segment(code, 0x00CF9A00 | ring << 13), "ss": segment(data, 0x00CF9200 | ring << 13),
                          "tr": segment(TASK, 0x8B00, TSS)}
        self.numbers = {"cr0": 1, "cpl": ring, "efl": FLAGS, "eip": CODE + 0x10, "esp": STACK, "gdt.base": GDT, "gdt.limit": 0x3F,
                        "idt.base": IDT, "idt.limit": 0x7FF, **numbers}

    def put(self, place, *words, size=4):
        for number, word in enumerate(words):
            self.memory[place + size * number:place + size * (number + 1)] = word.to_bytes(size, "little")

    def write(self, place, content):
        self.memory[place:place + len(content)] = content

    def state(self, **more):
        return State({**self.numbers, **more}, self.segments)

    def physical(self, address, size):
        return bytes(self.memory[address:address + size])

    def machine(self):
        return Machine(self.state(), self.physical, len(self.memory))


def event(state, vector=13, software=False, exception=True):
    made = Event(0, vector, 0, software, exception, log.NONE, "")
    made.__dict__["state"] = state      # else it is read from text
    return made


def context(made, *past, symbols=None):
    return Context(made.machine(), event(made.state()), past[-1] if past else None, symbols or source.Symbols(None), [*past])


def refused(key):
    return Refusal(key, "the end", 13, 0)


def names(**places):
    made = source.Symbols(None)
    made.__dict__ |= {"names": places, "code": [range(CODE, CODE + 0x1000)]}
    return made


# ---- in QEMU alone

@pytest.mark.parametrize("cs, named", [(CODE_3 | 3, True), (CODE_0, False), (DATA_3 | 3, False)])
def test_the_rest_of_a_frame_at_esp_is_a_ret_for_iret(cs, named):
    made = Made()
    made.put(STACK - 4, CODE, cs, FLAGS, 0x8000, DATA_3 | 3)
    found = late.rest_of_frame(made.machine())
    assert bool(found) == named and (not found or found.key == "ret-for-iret" and f"eip = {CODE:08x} alone" in found.says)


@pytest.mark.parametrize("eip, esp, named", [(0x9000, CODE, True), (CODE, 0x9000, False), (0x9000, 0xA000, False)])
def test_a_ring_3_whose_stack_is_code_and_whose_code_is_none(eip, esp, named):
    found = late.swapped([event(Made(3, eip=eip, esp=esp).state(), 0x20, exception=False)], names())
    assert bool(found) == named and (not found or "eip and esp of ring 3 are swapped" in found[1].says)


@pytest.mark.parametrize("cs, named", [(CODE_3 | 3, True), (CODE_0, False)])
def test_a_far_ret_in_a_ring_whose_code_it_is_not(cs, named):
    made = Made()
    made.put(GDT + GATE, CODE_3 << 16 | CODE & 0xFFFF, 0xEC02)     # a call gate: outwards, so that two rings are enough
    made.write(CODE + 0x10, LRET_8)
    made.put(STACK - 8, CODE + 0x10, cs)
    refusal = refused("ret-cs-null")
    assert late.near_ret(context(made), refusal) == named and (refusal.key == "ret-for-lret") == named


@pytest.mark.parametrize("ss, named", [(0x1234, True), (DATA_3 | 3, False)])
def test_a_word_of_a_frame_that_is_not_what_was_pushed(ss, named):
    made = Made()
    made.write(CODE + 0x10, IRET)
    made.put(STACK, CODE + 2, CODE_3 | 3, FLAGS, 0x8000, ss)
    came = event(Made(3, eip=CODE, esp=0x8000).state(), 0x80, software=True, exception=False)
    refusal = refused("iret-ss")
    assert late.overwritten(context(made, came), refusal) == named
    assert not named or refusal.key == "frame-overwritten" and "pushed it as 00000023, " in refusal.says


def test_a_task_that_was_jumped_to_has_no_link():
    made = Made(3)
    made.write(CODE + 0x10, IRET)
    made.write(CODE + 0x20, LJMP + bytes(4) + TASK.to_bytes(2, "little"))
    made.put(OTHER_TSS + 0x20, CODE + 0x27)
    made.put(OTHER_TSS + 0x4C, CODE_0)
    refusal = refused("iret-cs-null")
    assert late_tasks.jumped_to(context(made), refusal) and refusal.key == "task-no-link"
    made.write(CODE + 0x20, b"\x9a")    # lcall
    assert not late_tasks.jumped_to(context(made), refused("iret-cs-null"))


@pytest.mark.parametrize("eip, named", [(CODE, True), (0, False)])
def test_a_null_back_link_that_the_cpu_has_written_means_no_ltr(eip, named):
    made = Made(3, efl=FLAGS | NT)
    made.put(TSS + 0x20, eip)
    made.put(TSS + 0x4C, CODE_3 | 3)
    refusal = refused("nt-set")
    assert late_tasks.without_ltr(context(made), refusal) == named and (refusal.key == "tr-not-loaded") == named


@pytest.mark.parametrize("place, named", [(CODE + 0x21, True), (CODE + 0x80, False)])
def test_a_task_that_goes_on_behind_its_iret_into_another_function(place, named):
    made = Made()
    made.write(CODE + 0x20, IRET)
    made.put(TSS + 0x20, CODE + 0x21)
    made.put(TSS + 0x4C, CODE_0)
    made.put(IDT + 8 * 0x20, TASK << 16, 0x8500)
    seen = log.Log([event(Made().state(), 0x20, exception=False)], None, "", None, False)
    found = late_tasks.falls_through(seen, made.machine(), names(clock=CODE, other=place))
    assert bool(found) == named and (not found or "other begins" in found.says)


@pytest.mark.parametrize("sectors, key", [(2, "kernel-truncated"), (4, "the end's")])
def test_a_kernel_of_which_only_some_sectors_were_read(sectors, key, tmp_path):
    content = bytes(range(1, 256)) * 8
    head = unloaded.elf.HEADER.pack(b"\x7fELF", 2, 3, 1, CODE, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    (tmp_path / "k").write_bytes(head + struct.pack("<8I", 1, 84, CODE, CODE, len(content), len(content), 7, 1) + content)
    made = Made()
    made.write(CODE, content[:512 * sectors])
    refusal = refused("the end's")
    unloaded.clue(context(made, symbols=source.Symbols(tmp_path / "k")), refusal)
    assert refusal.key == key and (key != "kernel-truncated" or "2 sectors were loaded" in refusal.says)
    assert unloaded.byte_at(source.Symbols(tmp_path / "k"), CODE + 1) == 2


# ---- with Bochs

def step(text, before, after, landing=bytes(16)):
    return astray.Step(text, before.state(), after.state(), landing)


@pytest.mark.parametrize("text, before, after, msrs, key", [
    ("sysenter", Made(3), Made(eip=0), {0x174: 8, 0x175: 1}, "sysenter-eip"),
    ("ret", Made(esp=0xFFFFFFE0), Made(eip=0), {0x174: 8, 0x176: 1}, "sysenter-esp"),
    ("sysexit", Made(), Made(3, eip=STACK, esp=CODE), {0x174: 8, 0x175: 1, 0x176: 1}, "sysexit-registers"),
    ("ret", Made(), Made(eip=0), {}, "astray"),
    ("ret", Made(), Made(eip=0x9000), {}, "astray"),
])
def test_what_has_led_the_cpu_out_of_the_kernels_code(text, before, after, msrs, key):
    found = astray.explain(step(text, before, after), bochs.Listing([], None, "", [], msrs=msrs), names())
    assert found.key == key and f"{text} at" in found.says


@pytest.mark.parametrize("ring, landing, named", [(0, bytes(16), True), (0, bytes(range(16)), False), (3, bytes(16), False)],
                         ids=["no code", "code", "ring 3"])
def test_other_code_than_the_elfs_may_be_meant(ring, landing, named, monkeypatch):
    monkeypatch.setattr(astray, "find", lambda *_: step("jmp", Made(ring), Made(ring, eip=0x9000), landing))
    listing = bochs.Listing([], None, "", [], msrs={0x174: 8, 0x175: 1, 0x176: 1})
    assert bool(astray.reason(None, listing, 1, ring, names())) == named


class Reads:
    """A session that stands in a monitor which reads at these addresses, and then halts."""

    def __init__(self, *linear):
        self.steps = [[bochs.Access(False, place, place, 2, 0)] for place in linear]

    def step(self):
        return self.steps.pop(0), "" if self.steps else "0008:00100000 (unk. ctxt): hlt"


@pytest.mark.parametrize("read, named", [((0x20, 0xD), True), ((0xD, 0x1000D), False), ((0x20,), False)])
def test_a_monitor_that_takes_eip_for_a_linear_address(read, named):
    made = Made(efl=FLAGS | VM, eip=0xD)
    made.segments["cs"] = segment(0x1000, 0, 0x10000)
    refusal = refused(monitor.KEY)
    monitor.looked(Reads(*read), made.state(), refusal)
    assert (refusal.key == "v86-address") == named


@pytest.mark.parametrize("instruction, above, key", [
    ("push %eax", 4, "stack-leak"), ("push %eax", 0x20, "kernel-stack-overflow"), ("mov %eax,(%ebx)", 4, "idt-overwritten")])
def test_who_has_overwritten_a_gate_gives_the_mistake_away(instruction, above, key, monkeypatch):
    made = Made()
    writers = iter([who.Writer(9, made.state(), instruction, "0", IDT),
                    who.Writer(5, made.state(esp=STACK + above), instruction, "0", IDT + 4)])
    monkeypatch.setattr(who, "find", lambda *_: ([1], next(writers)))
    monkeypatch.setattr(overwritten, "top", lambda *_: STACK + 0x40)
    refusal = refused("idt-overwritten")
    said = overwritten.by(None, None, made.machine(), overwritten.Word("IDT entry 0x20", IDT, 8), 10, refusal, names())
    assert refusal.key == key and said.startswith(f"IDT entry 0x20 was written last by {instruction} at")


@pytest.mark.parametrize("first, key", [((STACK + 0x1014, STACK + 0x14), "esp0-wrong-end"), (None, "esp0-variable")])
def test_a_variable_where_the_cpu_pushes(first, key, monkeypatch):
    made = Made()
    monkeypatch.setattr(who, "find", lambda *_: ([1], who.Writer(9, made.state(), "mov %eax,0x3010", "0", STACK + 0x10)))
    monkeypatch.setattr(overwritten, "first_frame", lambda *_: first)
    refusal = refused("frame-overwritten")
    overwritten.by(None, None, made.machine(), overwritten.Word("the frame's ss", STACK + 0x10, 4), 10, refusal, names())
    assert refusal.key == key and refusal.says.startswith(f"esp0 = {STACK + 0x14:08x} is ")


@pytest.mark.parametrize("key, asked", [("frame-overwritten", True), ("v86-monitor", True), ("iret-ss-null", False)])
def test_bochs_is_asked_who_has_overwritten_and_what_a_monitor_reads(key, asked):
    assert witness.needed(log.Log([], None, "", None, False), story.Story(cause=refused(key), status=1)) == asked


NUMBERS = "\n".join(f"r{name}: 00000000_00000000" for name in (*trace.PRINTED, "8", "ip")) + "\neflags 0x00000002: id\n"
INTERRUPTED = ("CPU 0: Interrupt 0x20 occurred (error_code=0x0000)\n"
               "[CPU0 RD]: LIN 0x0000000000002100 PHY 0x000000002100 (len=8, UC): 0x00008E00 0x00084000\n"
               "[CPU0 RD]: PHY 0x000000007004 (len=4, UC): 0x00008027\t; PTE\n"
               "[CPU0 WR]: LIN 0x0000000000002ffc PHY 0x000000002ffc (len=4, UC): 0x00000202\n"
               "[CPU0 RD]: PHY 0x000000007010 (len=4, UC): 0x00009027\t; PTE\n"
               f"\nCPU0: the handler's first instruction\n{NUMBERS}")


def test_the_page_of_an_interrupts_handler_is_looked_up_for_the_instruction_that_is_fetched_there():
    """Not by the interrupt itself, which the judge would not allow."""
    interrupt, first = trace._split(INTERRUPTED, {"cpl": 0}, {}, True)
    assert [place for _, place, *_ in interrupt.walks] == [0x7004] and interrupt.interrupt == 0x20
    assert [place for _, place, *_ in first.walks] == [0x7010]


# ---- laws

@pytest.mark.parametrize("table, entry, says", [
    (0x7007, 0x8007, ""), (0x7007, 0x8006, "00008006, not present"), (0x7003, 0x8007, "not for ring 3"),
    (0x7007, 0x9007, "which leads to 00009010")])
def test_an_access_by_an_old_entry_of_the_tlb_is_told_from_one_by_the_tables(table, entry, says):
    tables = {0x6000: table, 0x7000: entry}
    machine = types.SimpleNamespace(cmd=lambda line: f"<bogus+0>:\t0x{tables[int(line.split()[-1], 16)]:08x}\n")
    found = stale.compared(machine, {"cr3": 0x6000, "cr4": 0}, 0x10, 0x8010)
    assert bool(found) == bool(says) and says in found


@pytest.mark.parametrize("value, esp, named", [
    (0x3004, 0x9000, True), (0x2004, 0x9000, False), (0x3004, 0x3800, False), (0x8, 0x9000, False)])
def test_an_address_in_the_object_that_has_ring_0s_stack_is_ring_0s(value, esp, named):
    symbols = {"code": 0x2000, "threads": 0x3000, "users": 0x4000}
    watch = laws.Watch({"symbols": symbols, "base": 0}, False)
    before, after = ({"ss": {"base": 0}, "ds": {"base": 0}, "esp": place} for place in (0x3F00, esp))
    assert bool(watch._beside_the_stack(value, before, after)) == named
