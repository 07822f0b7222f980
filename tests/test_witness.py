"""ringside why in Bochs: the witness, and who wrote a word last; and each end that a kernel can come to.

The kernel is tests/kernels/sector, a boot sector with eleven fates, and the disk of tests/kernels.
"""

import base64
import gzip
import html
import json
import os
import re
import struct

import pytest

import try_mistakes as mistakes
from ringside.emulators import anybochs, image
from ringside.recorder import recording
from ringside.why import bochs, settings, source, story, view, why, witness
from ringside.why import log as qemu_log

ALL = "ALL_MISTAKES" in os.environ


def look(capsys, made, elf, *arguments):
    """Exit status and story."""
    status = why.main([str(made), "--elf", str(elf), "--memory", "32", "--json", *map(str, arguments)])
    return status, json.loads(capsys.readouterr().out)


# ---- each end has its own sentence

@pytest.mark.sample(3)
@pytest.mark.parametrize("fate, status, happened, cause", [
    ("GOES_ON", 0, r"runs; [\d,]+ crossings seen, none refused; it goes on after exceptions", ""),
    ("LOOPS", 1, r"loops in exceptions: #GP\(0080: GDT 16\) at the same instruction \d+ times and more", "fs = 0080 is entry 16"),
    ("OVERWRITTEN", 1, "triple fault, with an IDT that has been overwritten meanwhile: .*",
     "the IDT has been overwritten: vector 0x30 went through its gate before"),
    ("NO_IDT", 1, "triple fault before there was an IDT .*", "lidt was never executed"),
    ("NOT_COMPLETE", 1, "triple fault before protected mode was complete .*", "far jmp to 0080:.* beyond its limit"),
    ("HALTS", 0, "halted with interrupts off; 1 crossings seen, none refused", ""),
    ("LONG", 2, "goes to 64-bit mode, which is not modelled: .*", ""),
    ("PAE", 1, "triple fault: .*",
     "write to 00234567 by ring 0: page directory entry 0x1 = 00000000 .at physical 0000a008. is not present"),
    ("TSS_16", 1, "triple fault: .*", "TSS.ss0 = 0000 is null"),
])
def test_each_end_of_a_kernel_has_its_own_sentence(fate, status, happened, cause, sector, capsys):
    seconds = 2 if fate == "LONG" else 30       # on a busy machine; the others end by themselves
    alone = [] if ALL else ["--no-witness"]
    found, told = look(capsys, *sector(fate), "--seconds", seconds, "--crossings", 128, *alone)
    assert found == status, told
    assert re.fullmatch(happened, told["happened"]), told["happened"]
    assert re.search(cause, told["cause_line"]), told["cause_line"]
    # QEMU can tell these alone, but who has overwritten what; of 64-bit code, Bochs could not
    assert bool(told["witness"]) == (fate == "OVERWRITTEN" and ALL)
    if fate == "GOES_ON":
        assert re.search(r"came back from, not judged: #GP\(0080\) \d+ times", told["notes"][0])


# ---- who

@pytest.mark.parametrize("fate, word, instruction", [
    ("BAD_SS0", "TSS.ss0", r"movl \$0x23,0x8808 at 0008:[0-9a-f]+, sector/sector.S:\d+, in protected\+\w+, ring 0, "
     r"[\d,]+ instructions before: 00000023"),
    ("OVERWRITTEN", "IDT entry 0x30", r"rep stos %eax,%es:\(%edi\) at 0008:.*: 00000000"),
][:2 if ALL else 1])
def test_who_names_the_last_writer_and_the_same_each_time(fate, word, instruction, sector, capsys):
    status, told = look(capsys, *sector(fate), "--who")
    assert status == 1
    assert re.fullmatch(re.escape(word) + " was written last by " + instruction, told["who"]), told["who"]
    if ALL:
        assert look(capsys, *sector(fate), "--who")[1]["who"] == told["who"]


# ---- the witness

def test_what_qemu_hides_is_told_with_the_bytes_of_that_moment(tmp_path, capsys):
    _, folder = mistakes.build("esp0-linear", tmp_path)
    page = tmp_path / "why.html"
    status, told = look(capsys, folder / "disk.img", folder / "disk.elf", "--html", page)
    assert status == 1
    assert re.match(r"TSS.esp0 = 0001\w{4} is beyond the limit 0xffff", told["cause_line"])
    wanted = r"QEMU does not check segment limits; on a PC this is #SS\(0011: GDT 2, EXT\)"
    assert any(re.match(wanted, note) for note in told["notes"])
    assert told["witness"][0] == "Bochs refuses it: #SS(0011: GDT 2, EXT)"
    assert "segment limit violation" in told["witness"][1]
    assert re.search("reads gate 0x20, reads GDT entry 1, reads TSS.ss0 = 0010, reads TSS.esp0 = 0001", told["witness"][2])
    the_page_plays_the_crossing_to_its_end(page)
    if ALL:
        _, told = look(capsys, folder / "disk.img", folder / "disk.elf", "--who")
        assert re.match("TSS.esp0 is as it was loaded: .* its value stands in the source", told["who"])


def the_page_plays_the_crossing_to_its_end(page):
    """The interrupt that is refused, and two exceptions on its way: three gates that are read, in one step."""
    text = page.read_text()
    inside = html.unescape(re.search(r'<iframe [^>]*srcdoc="([^"]*)"', text)[1])
    assert "<ring-view>" in inside and len(text) <= 1 << 20 and not re.search(r"(src|href|url)\W*https?:", text + inside)
    made = re.search(r'data-file="recording.json">([^<]+)<', inside)[1]
    recorded = json.loads(gzip.decompress(base64.b85decode(made.replace(",", "<"))))
    recording.check(recorded)
    step, = recorded["steps"]
    assert step["interrupt"] == 0x20 and step["ended"].startswith("#SS(0011), #GP(0063), #DF(0000), #GP(0043)")
    idt = recorded["state"]["idtr"]["base"]
    assert [(linear - idt) // 8 for _, linear, *_ in step["accesses"] if linear - idt in range(0x800)] == [0x20, 12, 8]
    assert recorded["state"]["tss"]["esp0"] in [value for *_, value in step["accesses"]]


@pytest.mark.parametrize("missing, says", [("available", "there is no bochs: install it"), ("has_grub", "grub-mkrescue")])
def test_a_witness_that_cannot_be_had_is_a_sentence(missing, says, monkeypatch, tmp_path):
    (tmp_path / "k.elf").touch()
    for module in (bochs, anybochs):
        if hasattr(module, missing):
            monkeypatch.setattr(module, missing, lambda: False)
    options = why.parser().parse_args([str(tmp_path / "k.elf"), "--witness"])
    found = image.Image(tmp_path / "k.elf", "multiboot ELF", [])
    told, shown = why.with_witness(story.Story("triple fault"), qemu_log.read(""), found, settings.Options(), options,
                                   source.Symbols(None))
    assert told.happened == "triple fault" and told.witness[0].startswith("none: ") and says in told.witness[0]
    assert shown.startswith("<p>No view of the crossing: ") and says in shown


def test_a_page_says_why_it_does_not_play_the_crossing(tmp_path, monkeypatch):
    """Bochs is not to be asked; or what it has recorded is too large for a page."""
    (tmp_path / "k.elf").touch()
    found, symbols = image.Image(tmp_path / "k.elf", "multiboot ELF", []), source.Symbols(None)
    options = why.parser().parse_args([str(tmp_path / "k.elf"), "--no-witness", "--html", str(tmp_path / "page.html")])
    dead = story.Story("triple fault", status=1)
    told, shown = why.with_witness(dead, qemu_log.read(""), found, settings.Options(), options, symbols)
    assert shown == f"<p>No view of the crossing: {view.NOT_ASKED}.</p>" and told.witness == []
    monkeypatch.setattr(view, "record", lambda *_: {"symbols": {}, "steps": []})
    monkeypatch.setattr(view, "folder", lambda *_: tmp_path)
    monkeypatch.setattr(view.embed, "frame", lambda *_, **__: "x" * (view.MOST_BYTES + 1))
    seen = witness.Testimony(told, bochs.Listing([], None, "", []), ticks=[1])
    assert why.crossing(seen, found, settings.Options(), symbols) == f"<p>No view of the crossing: {view.TOO_LARGE}.</p>"


@pytest.mark.parametrize("first, flags, fits", [(0x100000, 0, True), (0xC0100000, 0, False), (0xC0100000, 1 << 16, True)])
def test_an_elf_that_grub_does_not_enter_is_told(first, flags, fits, tmp_path):
    """GRUB wants the entry point within a segment, by virtual addresses; QEMU does not ask."""
    head = b"\x7fELF" + bytes(20) + struct.pack("<IIIIHHH", 0x100010, 52, 0, 0, 52, 32, 1) + bytes(6)
    segments = struct.pack("<8I", 1, 84, first, 0x100000, 64, 64, 5, 1)
    (tmp_path / "k.elf").write_bytes(head + segments + struct.pack("<II", 0x1BADB002, flags))
    try:
        anybochs.entered_by_grub(tmp_path / "k.elf")
        assert fits
    except image.Unusable as reason:
        assert not fits and "its entry point 0x100010 is in none of its segments" in str(reason)


def test_a_watchpoint_is_met_behind_the_last_time_breakpoint(sector):
    """Bochs 2.7 stops at the last time breakpoint again and again; so there is always one more."""
    with bochs.Bench(image.recognise(sector("BAD_SS0")[0]), settings.Options(memory=32)) as bench, bench.session() as session:
        session.to(100_000)
        session.command("watch w 0x8808 4")
        assert "write watch point at 0x000000008808" in session.go() and session.now > 200_000


LOG = """00000000100d[CPU0  ] protected mode activated
00000000190d[CPU0  ] interrupt(): vector = 30, TYPE = 4, EXT = 0
00000000200d[CPU0  ] PDE: entry not present
00000000200d[CPU0  ] page fault for address 00000000c0107070 @ 00000000c010130b
00000000200d[CPU0  ] exception(0x0e): error_code=0002
00000000200d[CPU0  ] interrupt(): vector = 0e, TYPE = 3, EXT = 1
00000000200d[CPU0  ] interrupt(): gate descriptor is not valid sys seg (vector=0x0e)
00000000200d[CPU0  ] exception(0x0d): error_code=0073
00000000200d[CPU0  ] exception(0x08): error_code=0000
00000000200d[CPU0  ] exception(0x0d): error_code=0043
00000000200p[CPU0  ] >>PANIC<< exception(): 3rd (13) exception with no resolution
"""


def test_the_log_of_bochs_is_read_as_that_of_qemu():
    events, third = bochs.events(LOG)
    assert [(str(event), event.tick, event.old) for event in events] == [
        ("int 0x30", 190, bochs.NONE), ("#PF(0002)", 200, bochs.NONE), ("#DF(0000)", 200, 14)]
    assert events[1].cr2 == 0xC0107070 and events[1].reason.startswith("page fault for address")
    assert third == 13


def test_accesses_are_read_from_a_trace():
    trace = ("[CPU0 RD]: LIN 0x0000000000101148 PHY 0x000000001148 (len=8, UC): 0x00CF9B00 0x0000FFFF\n"
             "[CPU0 RW]: LIN 0x00000000c0010450 PHY 0x000000010450 (len=4, UC): 0x00000001\n"
             "[CPU0 WR]: PHY 0x000000010450 (len=4, UC): 0x00000002\n"
             "[CPU0 RD]: PHY 0x000000009000 (len=4, UC): 0x00000021\n")
    assert [(access.write, access.linear, access.size, access.value) for access in bochs.accesses(trace)] == [
        (False, 0x101148, 8, 0x00CF9B000000FFFF), (False, 0xC0010450, 4, 1), (True, 0xC0010450, 4, 2),
        (False, bochs.PAGE_WALK, 4, 0x21)]
