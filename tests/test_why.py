"""ringside why: of a kernel that dies, the first cause is named; of one that lives, none.

The kernels and the mistakes are those of tests/kernels. A few run here, other ones each day;
with ALL_MISTAKES=1 all of those that break a rule of the CPU do.
"""

import datetime
import fcntl
import html
import itertools
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import types
from xml.etree import ElementTree

import pytest

import runs
import try_laws
import try_mistakes as mistakes
from ringside.emulators import machines
from ringside.why import clues, death, elf, hidden
from ringside.why import log as qemu_log
from ringside.why import run, source, why
from ringside.why.context import Context
from ringside.why.machine import Machine
from ringside.why.refusal import Refusal

ALL = "ALL_MISTAKES" in os.environ
SAMPLE = 2
FEW = 300  # crossings of a healthy kernel

# Words that must stand in the line of the first cause, by the cause's key.
WORDS = {
    "call-without-gate": "far call .* without a call gate",
    "callgate-dpl": "call gate has DPL 2",
    "callgate-selector": "call gate .* names selector 0030: .* no code segment",
    "cs-not-reloaded": "cs = 0010: .* not again after lgdt",
    "cr3-virtual-address": "CR3 = c.* virtual",
    "ds-dpl": "ds = 0000 is null in ring 3: .* DPL",
    "ds-null": "handler .* has not loaded ds",
    "error-code-left": "word too many is still on the stack",
    "error-code-popped-twice": "too many was popped, an error code twice",
    "error-code-popped-without": "too many was popped, an error code popped twice, or where there is none",
    "esp0-beyond-limit": "esp0 = .* beyond the limit",
    "esp0-unmapped": "esp0 = .* not mapped",
    "gate-dpl": "gate 0x80 .* has DPL 0",
    "gate-missing": "gate 0x80 .* missing",
    "gate-not-present": "gate 0x80 .* not present",
    "gate-selector": "gate 0x80 names selector 0010: .* no code segment",
    "gate-selector-null": "gate 0x80 names selector 0001, which is null",
    "gate-type": "gate 0x80 .* has type 0x0c|the gate's type is that of an interrupt gate",
    "gate-wrong-vector": "0x80 was written as 80",
    "gdt-base": "GDTR.base = .* no GDT lies there",
    "gdt-limit": "beyond its limit.* GDTR's limit leaves it out",
    "gdt-order": "code and data are in the other order in the GDT",
    "gdt-unmapped": "GDTR.base = .* is not mapped",
    "identity-map-missing": "no identity map",
    "idt-base": "IDTR.base = .* no IDT lies there",
    "idt-limit": "beyond the IDT's limit",
    "idt-not-loaded": "lidt was never executed",
    "idt-unmapped": "IDTR.base = .* is not mapped",
    "interrupts-before-idt": "interrupt .* came, with IF set, before an IDT was loaded",
    "io-map": "I/O map is beyond the TSS' limit",
    "io-map-bit": "the TSS' I/O map is 1: closed",
    "iopl-too-low": "IOPL is too low",
    "iret-16-bit": "iret has a 16-bit operand",
    "iret-cs-rpl": "cs = 0018 has RPL 0.* its RPL is too small",
    "iret-frame-order": "the two are swapped",
    "iret-ss-rpl": "ss = 00.. has RPL 0",
    "kernel-unmapped-in-cr3": "the new address space lacks the kernel",
    "lgdt-operand-size": "lgdtw",
    "lidt-operand-size": "lidtw",
    "lret-words": "far ret releases 0 bytes of parameters, but 2 words",
    "nt-set": "NT is set",
    "page-directory-alignment": "CR3 = .* a page directory begins at a page",
    "page-no-user": "lacks U",
    "page-not-present": "is not present",
    "page-read-only": "by ring 3|ring 3's stack .* lacks W",
    "pde-no-user": "page directory entry .* lacks U",
    "pde-virtual-address": "page directory entry .* virtual",
    "privileged-instruction": "privileged: only ring 0",
    "segment-granularity": "limit 0xfffff .G is 0: it counts bytes",
    "segment-limit": "beyond the limit 0xfffff of its segment",
    "segment-not-loaded": "still had its value of real mode",
    "ss-not-reloaded": "ss = 0018 .* not again after lgdt",
    "ss-not-present": "ss1 = 0021: .* not present",
    "stack-unmapped-in-cr3": "the stack of ring 0 .* is not present",
    "sysenter-cs": "IA32_SYSENTER_CS, is null",
    "sysexit-gdt-order": "code and data are in the other order in the GDT",
    "task-gate-selector": "task gate 0x20 names 0010: .* no TSS",
    "tf-set": "TF is set",
    "tr-not-loaded": "no TSS was ever loaded with ltr",
    "tss-base": "TR.base = ",
    "tss-busy": "busy",
    "tss-layout": "ss0 and esp0 are swapped",
    "tss-ldt": "LDT selector .* is no LDT",
    "tss-limit": "the TSS' limit .* is too small",
    "tss-ss-rpl": "new task's ss = 0020 has RPL 0",
    "tss-ss0-dpl": "ss0 = 0020: .* has DPL 3",
    "tss-ss0-limit": "ss0 = 0030 .* beyond its limit",
    "tss-ss0-not-present": "ss0 = 0030: .* not present",
    "tss-ss0-null": "ss0 = 0000 is null",
    "tss-ss0-rpl": "ss0 = 0013 has RPL 3",
    "tss-ss0-type": "ss0 = 0008: .* no data segment",
    "tss-ss1-null": "ss1 = 0000 is null",
    "tss-ss1-rpl": "ss1 = 0020 has RPL 0",
    "tss-type": "GDT entry 5 has type 0x2, LDT",
    "tss-unmapped": "the TSS' base .* is not mapped",
    "user-code-dpl": "GDT entry 3, has DPL 0: the descriptor's DPL is too small",
    "user-data-dpl": "GDT entry 4 has DPL 0",
    "v86-vm-flag": "lacks VM",
    "wp-read-only": "ring 0: .* lacks W.* CR0.WP",
}

# QEMU lets it pass, and Bochs, which does not, wants a CD for a multiboot kernel.
WITH_GRUB = ("driver-leaves-its-ds",)

# QEMU's own loader leaves selectors that happen to fit these kernels' GDTs; GRUB leaves others.
ON_CD = ("cs-not-loaded-again", "ss-not-loaded-again")

RULE = [name for name in mistakes.names() if mistakes.read(name)[0]["breaks"] == "rule"]


def look(capsys, *arguments):
    """Exit status and story."""
    status = why.main([*map(str, arguments), "--json"])
    return status, json.loads(capsys.readouterr().out)


def image(kernel, folder):
    if kernel == "disk":
        return folder / "disk.img", "--elf", folder / "disk.elf", "--base", "0x10000"
    return (folder / f"{kernel}.elf",)


def on_cd(kernel, folder):
    """The kernel on a CD, as GRUB starts it."""
    grub = folder / "cd/boot/grub"
    grub.mkdir(parents=True)
    (grub / "grub.cfg").write_text(runs.GRUB)
    shutil.copy(folder / f"{kernel}.elf", folder / "cd/boot/kernel.elf")
    subprocess.run(["grub-mkrescue", "-o", folder / "cd.iso", folder / "cd"], check=True, capture_output=True)
    return folder / "cd.iso", "--elf", folder / f"{kernel}.elf"


@pytest.fixture(scope="module")
def built():
    folder = machines.BUILD / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        runs.build(folder)
    return folder


def chosen():
    first = datetime.date.today().toordinal() * SAMPLE
    some = [name for name in RULE if "QEMU: triple fault" in mistakes.read(name)[0]["symptom"]]
    return RULE if ALL else sorted({some[(first + i) * 7 % len(some)] for i in range(SAMPLE)})


# ---- living kernels

@pytest.mark.sample(3)
@pytest.mark.parametrize("kernel", runs.KERNELS)
def test_nothing_is_refused_in_a_healthy_kernel(built, kernel, capsys):
    status, told = look(capsys, *image(kernel, built), "--crossings", 8192 if ALL else FEW, "--memory", 32)
    assert status == 0 and told["cause"] is None, told
    lives_on = "; it goes on after exceptions" if kernel in runs.ORDINARY else ""
    assert re.fullmatch(r"runs; [\d,]+ crossings seen, none refused" + lives_on, told["happened"])
    if kernel == "disk":    # its segments are not flat: QEMU does not check them, so Bochs is asked as well
        assert re.fullmatch(r"Bochs: runs; [\d,]+ crossings seen, none refused", told["witness"][0])


# ---- dead ones

def test_every_cause_of_class_rule_has_its_words():
    causes = {mistakes.read(name)[0]["cause"] for name in RULE}
    assert causes == set(WORDS)


@pytest.mark.parametrize("name", chosen())
def test_the_first_cause_is_named(name, capsys, tmp_path):
    header = mistakes.read(name)[0]
    kernel, folder = mistakes.build(name, tmp_path)
    if name in ON_CD + WITH_GRUB and not runs.has_grub():
        pytest.skip("no GRUB here to put a kernel on a CD")
    status, told = look(capsys, *(on_cd if name in ON_CD else image)(kernel, folder), "--memory", 32)
    assert status == 1, told
    assert re.search(WORDS[header["cause"]], told["cause_line"]), told["cause_line"]


# What the CPU lets pass, and refuses something else for later: named by its marks.
LATE = {
    "a20-shut": "A20 is shut in protected mode",
    "call-gate-counts-bytes": "call gate at .* copies 8 words of parameters, and this far ret releases 8 bytes",
    "call-gate-of-16-bits": "call gate at .* has the 286's type 4",
    "call-gate-without-words": "call gate at .* copies 0 words of parameters",
    "code-without-d": "cs = 0008: its descriptor lacks the D bit",
    "error-code-left": "1 word too many is still on the stack",
    "esp0-zero": "TSS.esp0 = 00000000 was never set",
    "gate-halves-swapped": "gate 0x80 of the IDT leads to .* no code: the halves of the offset are swapped",
    "gate-of-16-bits": "gate 0x80 of the IDT has the 286's type 6",
    "gate-upper-half-lost": "gate 0x80 of the IDT leads to .* no code: the upper half of the offset is lost",
    "handler-is-a-c-function": "ring 0 executes the code of ring 3, at .* a handler has ended with ret",
    "kernel-truncated": "the kernel is not whole in memory: .* 2 sectors were loaded",
    "near-ret-from-a-gate": "ring 1 executes the code of ring 2, .* a near ret has taken .* left cs = 002a",
    "no-far-jump": "no far jmp followed CR0.PE: cs = 1000 still is that of real mode",
    "ret-for-iret": "ring 0 executes the code of ring 3, .* the rest of a frame, .* a ret has taken eip .* no iret the rest",
    "stack-without-b": "ss = 0010: its descriptor lacks the B bit",
    "sysexit-edx-and-ecx-swapped": "eip and esp of ring 3 are swapped: eip = .* no section of code .* sysexit takes eip from edx",
    "task-jumped-to": "task 0030 was jumped to, not called",
    "task-runs-past-its-iret": "task 0038, to which the task gate 0x20 leads, goes on behind its iret, .* put begins",
    "task-without-ltr": "TR was null when the CPU switched to task 0030, .* no TSS was ever loaded with ltr",
}

# For these Bochs runs as well.
LATE_IN_BOCHS = {
    "esp0-at-the-stacks-start": "esp0 = .* is the start of a stack, not its end: .*threads.c:.* a variable there; .* 0x1000 ",
    "kernel-stack-too-small": "a stack of ring 0 has grown down into the frame of another: push .* is 80 bytes deep",
    "sysenter-eip-not-set": "IA32_SYSENTER_EIP .MSR 0x176. was never set: sysenter at 001b:.* led to 0008:00000000",
    "sysenter-esp-not-set": "IA32_SYSENTER_ESP .MSR 0x175. was never set, .* sysenter makes esp 00000000",
    "task-stack-not-balanced": "a stack of ring 0 has grown down into the IDT, because each turn leaves 4 bytes on it: push",
    "v86-eip-of-the-kernel": "the frame's eip 001.* is beyond 64 KiB, the limit of virtual-8086 mode",
}

# Of those that break no rule, these end in something that why explains; laws find the others: tests/kernels/try_laws.py.
LAW = {
    "v86-cs-taken-for-flat": "the monitor reads at 0000000d, which is the task's eip .* nowhere at 0001000d",
    "v86-int-not-skipped": "int 0x21 is left to the monitor, .* comes back to the same instruction, at 1000:000d",
}


def late():
    """All, or one that changes from day to day and takes QEMU alone a second."""
    quick = [name for name in LATE if "QEMU: triple fault" in mistakes.read(name)[0]["symptom"]]
    return {**LATE, **LATE_IN_BOCHS, **LAW} if ALL else [quick[datetime.date.today().toordinal() % len(quick)]]


@pytest.mark.parametrize("name", late())
def test_late_mistakes_are_named_as_well(name, capsys, tmp_path):
    if name not in LATE and not runs.has_grub():
        pytest.skip("no GRUB here to put a kernel on a CD")
    kernel, folder = mistakes.build(name, tmp_path)
    status, told = look(capsys, *image(kernel, folder), "--memory", 32)
    assert status == 1 and re.search({**LATE, **LATE_IN_BOCHS, **LAW}[name], told["cause_line"]), told


def test_the_story_of_a_wrong_ss0_is_whole(capsys, tmp_path):
    kernel, folder = mistakes.build("ss0-of-the-user", tmp_path)
    assert why.main([str(folder / f"{kernel}.elf"), "--memory", "32"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    for words in ("what triple fault", "thread_a+0x10: int $0x80", "flat/entry.S:",
                  "first cause TSS.ss0 = 0020: its descriptor, GDT entry 4, has DPL 3; a ring-0 stack needs DPL 0",
                  "so Intel #TS(0020: GDT 4), SDM vol. 3A, 6.12.1", "ss0 (+0x8) = 0020", "0000ffff 00cff300: data, DPL 3",
                  "chain #TS(0020)", "#DF(0000); its handler is not reached", "triple fault usual fix set ss0"):
        assert words in said, (words, said)
    log = tmp_path / "log"
    runs.qemu(folder, kernel, log=log)
    status, told = look(capsys, "--log", log)
    assert status == 2  # the word is known, but not which check
    assert "TSS.ss0 is selector 0020" in told["cause_line"] and told["chain"][-1].endswith("triple fault")
    assert any("in memory" in line for line in told["unknown"])


PAGE = machines.ROOT / "docs/why.md"
SHOWN = re.findall(r"<!-- mistake: (\S+) -->\n\n```text\n\$ [^\n]*\n(.*?)\n```", PAGE.read_text(), re.S)


def without_addresses(text):
    """Addresses are the compiler's; so are the places of line breaks, and line numbers are the sources'."""
    return re.sub(r"\b(?:0x)?[0-9a-f]{5,8}\b|(?<=\.S:)\d+", "?", " ".join(text.split()))


@pytest.mark.parametrize("name, said", [pytest.param(*pair, id=pair[0]) for pair in (SHOWN if ALL else SHOWN[1:2])])
def test_the_page_shows_what_the_tool_says(name, said, capsys, tmp_path):
    kernel, folder = mistakes.build(name, tmp_path)
    why.main([*map(str, image(kernel, folder)), "--memory", "32"])
    assert without_addresses(capsys.readouterr().out) == without_addresses(said)


@pytest.mark.parametrize("front", ["README.md", "README.zh-TW.md"])
def test_the_readme_shows_the_first_of_them(front):
    _, _, after = (machines.ROOT / front).read_text().partition("ringside why flat.elf\n")
    readme = [line.strip() for line in after.split("\n\n")[0].splitlines()]
    page = [line.strip() for line in SHOWN[0][1].splitlines()]
    assert [line for line in page if line in readme] == readme != []


def test_the_page_counts_the_mistakes():
    text = " ".join(PAGE.read_text().split())
    assert len(SHOWN) == 3
    assert f"{len(mistakes.names())} mistakes that people make" in text
    assert f"Of the {len(RULE)} mistakes that a rule of the CPU forbids, the line of the first cause names {len(RULE)}" in text
    kinds = {kind: {name for name in mistakes.names() if mistakes.read(name)[0]["breaks"] == kind} for kind in mistakes.KINDS}
    named = {**LATE, **LATE_IN_BOCHS}
    assert set(named) == kinds["late"] and f"Of the {len(named)} that it lets pass at first, it names all" in text
    unnamed = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.read_text(), re.M)
    assert set(unnamed) == kinds["law"] - set(LAW) - set(try_laws.FOUND) and set(LAW) | set(try_laws.FOUND) <= kinds["law"]
    assert (f"Of the {len(kinds['law'])} that break no rule, [laws](laws.md) names {len(try_laws.FOUND)}, and `why` "
            f"{len(LAW)} by where they end: {len(mistakes.names()) - len(unnamed)} of {len(mistakes.names())} in all") in text


BOOT_SECTOR = b"\xfa\x2e\x0f\x01\x1e\x08\x7c\xcc" + bytes(502) + b"\x55\xaa"  # cli, lidt of zeros, int3


def test_a_death_in_real_mode_is_told_from_the_machine(tmp_path, capsys):
    path = tmp_path / "floppy.img"
    path.write_bytes(BOOT_SECTOR)
    status, told = look(capsys, path)
    assert status == 1 and told["happened"].startswith("triple fault in real mode"), told
    assert told["instruction"] == "int3"
    assert "vector 0x03 in real mode is beyond IDTR's limit 0x0" in told["cause_line"]


# ---- logs

EXCEPTION = """check_exception old: 0xffffffff new 0x{vector:x}
     0: v={vector:02x} e={error:04x} i=0 cpl=0 IP=0008:00100000 pc=00100000 SP=0010:00200000 env->regs[R_EAX]=00000000
EAX=00000000 EBX=00000000 ECX=00000000 EDX=00000000
ESI=00000000 EDI=00000000 EBP=00000000 ESP=00200000
EIP=00100000 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0
CS =0008 00000000 ffffffff 00cf9a00 DPL=0 CS32 [-R-]
SS =0010 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]
LDT=0000 00000000 0000ffff 00008200 DPL=0 LDT
TR =0000 00000000 0000ffff 00008b00 DPL=0 TSS32-busy
GDT=     00101000 0000002f
IDT=     00102000 000007ff
CR0=00000011 CR2=00000000 CR3=00000000 CR4=00000000
"""


@pytest.mark.parametrize("vector, error, words", [
    (13, 0x402, "IDT entry 0x80"), (13, 0x1B, "EXT"), (10, 0x2C, "LDT entry 5"),
    (14, 2, "write from ring 0-2, the page is not present"),
    (14, 5, "read from ring 3, refused by the rights")])
def test_an_error_code_is_taken_to_pieces(vector, error, words, tmp_path, capsys):
    log = tmp_path / "log"
    log.write_text(EXCEPTION.format(vector=vector, error=error))
    status, told = look(capsys, "--log", log)
    assert status in (1, 2)
    assert words in json.dumps(told)


def test_a_log_says_where_a_handler_was_not_reached():
    text = EXCEPTION.format(vector=13, error=0) + EXCEPTION.format(vector=8, error=0).replace("0xffffffff new 0x8", "0xd new 0xd")
    found = qemu_log.read(text + "check_exception old: 0x8 new 0xd\nTriple fault\n")
    assert [str(event) for event in found.events] == ["#GP(0000)", "#DF(0000)"]
    assert found.events[1].old == 13 and found.third == 13


@pytest.mark.parametrize("segment, key", [("CS =0008 00000000 ffffffff 00cf", "code-d-bit"),
                                          ("SS =0010 00000000 ffffffff 00cf", "stack-b-bit"),
                                          ("A20=1", "a20-shut")])
def test_what_the_cpu_lets_pass_is_put_in_front_of_what_it_refuses_later(segment, key, monkeypatch):
    text = EXCEPTION.format(vector=6, error=0)
    wrong = segment.replace("00cf", "008f").replace("A20=1", "A20=0")
    event = qemu_log.read(text.replace(segment, wrong)).events[0]
    gdt = {0x101008: 0x00CF9A000000FFFF, 0x101010: 0x00CF92000000FFFF}
    machine = Machine(event.state, lambda address, size: gdt.get(address, 0).to_bytes(8, "little")[:size], 1 << 20)
    found = Refusal("#UD", "no instruction", 6, 0)
    clues.refine(Context(machine, event, None, source.Symbols(None), []), found)
    assert found.key == key and found.says.endswith("; so no instruction")


@pytest.mark.parametrize("ended, kind", [("quiet", "exception"), (death.UNLOGGED, "")])
def test_a_kernel_that_goes_on_by_call_gates_alone_has_come_back(ended, kind):
    """It ends a program for an exception; after that nothing more is logged, though it changes rings."""
    assert death.find(qemu_log.read(EXCEPTION.format(vector=13, error=0)), ended).kind == kind


@pytest.mark.parametrize("rings, changes", [([0], False), ([3], False), ([0, 0, 3], True)])
def test_a_machine_that_stands_still_in_one_ring_does_not_change_rings(rings, changes, monkeypatch):
    seen = itertools.cycle(rings)
    machine = types.SimpleNamespace(state=lambda: types.SimpleNamespace(cpl=next(seen), protected=True))
    monkeypatch.setattr(run.time, "sleep", lambda seconds: None)
    assert run.Run.changes_rings(machine) == changes


# ---- bad input

def an_elf(machine, bits=1, header=b""):
    return b"\x7fELF" + bytes([bits]) + bytes(13) + struct.pack("<H", machine) + bytes(44) + header


@pytest.mark.parametrize("content, complaint", [
    (b"nothing that boots" * 100, "does not boot"), (an_elf(62, 2), "64-bit"),
    (an_elf(40), "another machine"), (an_elf(3), "without a multiboot header"),
    (b"", "is empty: build the image first"), (bytes(0x8001) + b"CD001" + bytes(4096), "a CD without a boot record"),
], ids=["no image", "64 bits", "ARM", "no multiboot", "empty", "a CD of data"])
def test_what_cannot_be_looked_at_is_refused_with_the_reason(content, complaint, tmp_path, capsys):
    path = tmp_path / "image"
    path.write_bytes(content)
    assert why.main([str(path)]) == 3
    assert complaint in capsys.readouterr().err
    assert path.read_bytes() == content


@pytest.mark.parametrize("arguments", [
    [], ["a", "--log", "b"], ["--log", "/none"], ["/none"], ["/none", "--seconds", "0"], ["--nonsense"], ["/"]])
def test_wrong_usage_has_status_3(arguments, capsys):
    try:
        status = why.main(arguments)
    except SystemExit as ends:
        status = ends.code
    assert status == 3
    assert "why: " in capsys.readouterr().err


def test_what_may_not_be_read_is_a_sentence(tmp_path, capsys, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", "kernel.elf")
    (tmp_path / "kernel.elf").write_bytes(an_elf(3))
    monkeypatch.setattr(pathlib.Path, "open", refused)
    assert why.main([str(tmp_path / "kernel.elf")]) == 3
    assert "kernel.elf: permission denied; give yourself the right" in capsys.readouterr().err


def test_what_is_found_is_said_even_if_its_page_cannot_be_written(tmp_path, capsys):
    """The run is not lost: its text comes first."""
    (tmp_path / "qemu.log").write_text("CPU Reset (CPU 0)\n")
    nowhere = tmp_path / "nowhere/page.html"
    assert why.main(["--log", str(tmp_path / "qemu.log"), "--html", str(nowhere)]) == 3
    said = capsys.readouterr()
    assert said.out.startswith("what ") and f"there is no {nowhere}" in said.err


def test_without_qemu_it_is_said_how_to_get_it(tmp_path, capsys, monkeypatch):
    (tmp_path / "floppy.img").write_bytes(BOOT_SECTOR)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert why.main([str(tmp_path / "floppy.img")]) == 3
    assert "there is no qemu-system-i386: install QEMU (sh scripts/setup)" in capsys.readouterr().err


def test_a_run_without_end_is_stopped_and_a_disk_of_gigabytes_is_not_copied(tmp_path, capsys):
    path, size = tmp_path / "disk.img", 12 << 30
    with path.open("wb") as file:
        file.write(b"\xeb\xfe" + bytes(508) + b"\x55\xaa")     # jmp to itself
        file.truncate(size)
    before = path.stat()
    status, told = look(capsys, path, "--seconds", 1)
    assert status == 0 and told["happened"] == "still runs after 1 s, when it was stopped; 0 crossings seen, none refused"
    after = path.stat()
    assert (after.st_mtime_ns, after.st_blocks) == (before.st_mtime_ns, before.st_blocks) and after.st_blocks < 100
    assert list(tmp_path.iterdir()) == [path]


def test_an_elf_that_is_linked_elsewhere_is_found_and_a_foreign_one_is_left_out(built, tmp_path, capsys):
    status, told = look(capsys, built / "disk.img", "--elf", built / "disk.elf", "--crossings", 20, "--no-witness")
    moved = "the code of disk.elf lies 0x10000 from where it is linked, so its names are taken from there (--base 0x10000)"
    assert moved in told["notes"]
    machine = Machine(qemu_log.state(""), lambda address, size: bytes(size), 1 << 20)
    with pytest.raises(elf.Unfit, match="the code of flat.elf lies nowhere in memory"):
        elf.base(built / "flat.elf", 0, machine)
    (tmp_path / "cut.elf").write_bytes((built / "flat.elf").read_bytes()[:60])
    with pytest.raises(elf.Unfit, match="cut.elf is cut off"):
        elf.base(tmp_path / "cut.elf", 0, machine)


# ---- for a report

def test_the_page_and_the_picture_say_the_same_as_the_screen(tmp_path, capsys):
    log, page, picture = tmp_path / "log", tmp_path / "a.html", tmp_path / "a.svg"
    log.write_text(EXCEPTION.format(vector=13, error=0x402))
    status = why.main(["--log", str(log), "--html", str(page), "--svg", str(picture)])
    said = capsys.readouterr().out
    shown, drawn = html.unescape(page.read_text()), "".join(ElementTree.parse(picture).getroot().itertext())
    for line in said.splitlines():
        assert line[13:] in drawn
    told = [line[13:] for line in said.splitlines() if line.startswith(("what", "chain", "not known"))]
    assert status == 2 and told and all(line in " ".join(shown.split()) for line in told)
    assert "<script" not in shown and "http" not in shown and "prefers-color-scheme: dark" in shown
    assert "<p>No view of the crossing: a log has no accesses to memory; give the image, and they are recorded.</p>" in shown


# ---- what a PC refuses and QEMU does not

def ran(cr3, cs=0x10):
    """A timer's interrupt in ring 0, with a cs that its GDT does not have as code."""
    text = EXCEPTION.format(vector=32, error=0).partition("\n")[2].replace("CR3=00000000", f"CR3={cr3:08x}")
    return text.replace("CS =0008", f"CS ={cs:04x}")


@pytest.mark.parametrize("cr3, seen", [(0, True), (0x5000, False)])
def test_memory_of_the_end_says_nothing_about_page_tables_that_are_gone(cr3, seen):
    """A kernel frees a process's page directory: through the old CR3, other bytes are read than there were."""
    found = qemu_log.read(ran(cr3) + ran(0, cs=0x08))
    gdt = {0x101008: 0x00CF9A000000FFFF, 0x101010: 0x00CF92000000FFFF}
    memory = lambda address, size: gdt.get(address, 0).to_bytes(8, "little")[:size]  # noqa: E731
    told = hidden.look(found, lambda state: Machine(state, memory), -1, found.events[-1].state)
    assert bool(told) == seen
    if told:
        assert told[1].key == "cs-not-reloaded"
