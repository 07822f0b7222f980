"""Recordings of the crossings of other kernels: scripts/ringside record IMAGE, and laws looked for in one.

The kernel is the disk of tests/kernels, which needs no GRUB. `make test-laws` records all of them.
"""

import json
import subprocess

import pytest

import runs
from ringside.emulators.image import Image, Unusable, recognise
from ringside.emulators import anybochs, machines
from ringside.emulators.machines import BUILD, ROOT, by_name, floppy_that_starts
from ringside.judge import judge
from ringside.laws import laws
from ringside.recorder import crossings, listing, recording

FEW = 24
TIMER = 0x20     # its vector
AROUND = 5       # seconds of the guest's: its first crossing is at 4.3


def ringside(*words):
    return subprocess.run(by_name([ROOT / "scripts/ringside", *map(str, words)]), text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=100)


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """The kernel's folder, and a recording of its first crossings."""
    folder = tmp_path_factory.mktemp("disk")
    runs.build(folder, kernels=["disk"])
    path = folder / "recording.json"
    run = ringside("record", folder / "disk.img", "--elf", folder / "disk.elf", "--first", FEW, "--output", path)
    assert run.returncode == 0, run.stderr
    return folder, recording.load(path), path


def test_each_step_goes_on_where_the_last_one_ended(disk):
    steps = list(recording.walk(disk[1]))
    crossings = [step for _, _, step, _ in steps if "gap" not in step]
    assert len(crossings) >= FEW
    for _, before, step, after in steps:
        if "gap" in step:
            assert step["gap"] > 0 and step["accesses"] is None
        else:
            assert step["accesses"] and (step["bytes"] or "interrupt" in step)
    ways = [(before["cpl"], after["cpl"]) for _, before, step, after in steps if "gap" not in step]
    assert ways.count((3, 0)) > FEW // 3 and ways.count((0, 3)) > FEW // 3


def test_an_interrupt_is_a_step_of_its_own_whatever_its_handler_begins_with(disk):
    steps = list(recording.walk(disk[1]))
    found = [(before, step, after, steps[number + 1][2]) for number, before, step, after in steps
             if step.get("interrupt") == TIMER]
    assert found
    for before, step, after, following in found:
        gate = int(before["idt"][TIMER], 16)
        assert after["eip"] == (gate & 0xffff | gate >> 48 << 16)
        assert "gap" not in following and following["text"]
        pushed = [access[3] for access in step["accesses"] if access[0] == "write" and access[2] == 4]
        assert pushed[-1] == before["eip"]
        # The words lie there, and what the handler pushes does not yet.
        at, words = after["stack"]["linear"], after["stack"]["words"]
        place = (after["ss"]["base"] + after["esp"] - at) // 4
        assert words[place] == before["eip"]


def test_the_judge_takes_it_and_finds_no_rule_broken(disk):
    verdicts = [verdict for _, verdict in judge.verdicts(disk[1])]
    assert sum(verdict.crossing for verdict in verdicts) >= FEW
    assert [str(fact) for verdict in verdicts for fact in verdict.findings] == []


def test_no_law_is_broken_in_a_healthy_kernel(disk):
    run = ringside("laws", disk[2])
    assert run.returncode == 0, run.stdout
    assert run.stdout.startswith("0 laws broken in ")


def test_a_spoilt_register_is_found_in_such_a_recording(disk):
    made = json.loads(json.dumps(disk[1]))
    number = next(number for number, before, step, after in recording.walk(made)
                  if number > FEW and before["cpl"] == 0 and after["cpl"] == 3)
    made["steps"][number]["changes"]["ebx"] = 0xdead
    assert {finding.law for finding in laws.broken(made)} == {"R1"}


# By a call gate and a far ret, found with no ELF file; by sysenter and sysexit, with one, linked elsewhere.
DOORS = {"callgate": ([], {"lcall, ring 3 to 0", "lret, ring 0 to 3"}),
         "sysenter": (["--elf", BUILD / "sysenter.elf", "--base", 0x10000], {"sysenter, ring 3 to 0", "sysexit, ring 0 to 3"})}


@pytest.mark.parametrize("program", [pytest.param(name, marks=() if name == "callgate" else pytest.mark.long) for name in DOORS])
def test_doors_that_bochs_does_not_list_are_found(program, tmp_path):
    options, kinds = DOORS[program]
    image = floppy_that_starts(program, tmp_path / "floppy.img")
    run = ringside("record", image, *options, "--first", 5, "--output", tmp_path / "recording.json")
    assert run.returncode == 0, run.stderr
    verdicts = [verdict for _, verdict in judge.verdicts(recording.load(tmp_path / "recording.json"))]
    assert kinds <= {verdict.kind for verdict in verdicts}
    # The clock wakes ring 0, which waits in hlt.
    assert "interrupt 0x28, ring 0 to 0" in {verdict.kind for verdict in verdicts}
    assert [str(fact) for verdict in verdicts for fact in verdict.findings] == []


def test_what_a_kernel_has_done_before_it_died_is_kept(disk, tmp_path):
    """The TSS' descriptor has no base, so the first interrupt in ring 3 finds no stack."""
    folder, _, _ = disk
    image = bytearray((folder / "disk.img").read_bytes())
    gdt, tss = (machines.symbols(folder / "disk.elf")[name] for name in ("gdt", "tss"))
    place = image.index((tss & 0xffff).to_bytes(2, "little") + b"\x01\x89")
    image[place + 2] = 0
    (tmp_path / "dead.img").write_bytes(image)
    run = ringside("record", tmp_path / "dead.img", "--output", tmp_path / "recording.json")
    assert run.returncode == 1
    assert "the kernel ended in its last step, interrupt 0x20 at " in run.stderr and "#TS(0001)" in run.stderr
    iret, gap, dead = recording.load(tmp_path / "recording.json")["steps"]
    assert iret["text"] == "iret" and "gap" in gap
    assert dead["interrupt"] == TIMER and dead["ended"].endswith("the machine shuts down") and dead["accesses"]


@pytest.mark.long
def test_what_came_before_a_crossing_that_does_not_come_back_is_kept(disk, monkeypatch):
    steps = crossings.Kernel.step

    def step(kernel, raw, calls=[]):
        calls.append(raw)
        if len(calls) > 3:
            raise machines.Missing("the prompt did not come")
        return steps(kernel, raw)

    monkeypatch.setattr(crossings.Kernel, "step", step)
    made = crossings.record_crossings(recognise(disk[0] / "disk.img"), listing.Wanted(first=9), crossings.Names())
    assert [step["ended"] for step in made["steps"] if "ended" in step] == ["it does not come back"]
    assert made["steps"][-1]["ended"] and len([step for step in made["steps"] if "gap" not in step]) >= 4


@pytest.mark.long
def test_options_say_which_crossings(disk):
    """--from, --vector and --every together; then --around, a moment that the first recording has seen."""
    folder, made, _ = disk
    path, base = folder / "some.json", made["state"]["cs"]["base"]
    run = ringside("record", folder / "disk.img", "--elf", folder / "disk.elf", "--base", base, "--from", "leave",
                   "--vector", hex(TIMER), "--every", 2, "--first", 6, "--output", path)
    assert run.returncode == 0, run.stderr
    steps = recording.load(path)["steps"]
    assert [step["interrupt"] for step in steps if "interrupt" in step] == [TIMER] * 3
    assert sum("iret" in step["text"] for step in steps) == 3
    between = [step["gap"] for step in steps if "gap" in step]
    assert max(between) > 1000, "each second one is left out"
    found = listing.found(recognise(folder / "disk.img"), listing.Wanted(first=8, around=AROUND)).lines
    assert len(found) == 8 and sum(line.tick < AROUND * anybochs.PER_SECOND for line in found) == 4


LINES = [listing.Line(tick, kind, selector, eip) for tick, kind, selector, eip in (
    (100, "softint", 8, 0x30), (110, "iret", 0x1b, 1), (200, "exception (not softint)", 8, 0x20), (210, "iret", 0x1b, 2),
    (300, "softint", 8, 0x30), (310, "iret", 0x1b, 3))]


@pytest.mark.parametrize("wanted, targets, ticks", [
    (listing.Wanted(), None, [100, 110, 200, 210, 300, 310]),
    (listing.Wanted(first=3), None, [100, 110, 200]),
    (listing.Wanted(every=2), None, [100, 110, 300, 310]),
    (listing.Wanted(vector=0x20), {(8, 0x20)}, [200, 210]),
    (listing.Wanted(first=2, around=205 / anybochs.PER_SECOND), None, [200, 210]),
], ids="all first every vector around".split())
def test_those_are_chosen_that_are_wanted(wanted, targets, ticks):
    assert [line.tick for line in listing.chosen(LINES, wanted, targets)] == ticks


def test_what_bochs_lists_in_real_mode_is_left_out():
    text = ("00000000374: softint f000:053f (0x000f053f)\n00060684616: softint 0008:00100346 (0x00100346)\n"
            "00060684678: iret 001b:0010037e (0x0010037e)\n00060684700: softint f000:f859 (0x000ff859)\n"
            "00060684720: iret 0000:9104 (0x00009104)\n")
    assert [line.kind for line in listing.lines_in(text)[0]] == ["softint", "iret"]


def test_an_iret_to_virtual_8086_mode_is_told_from_real_mode_s():
    first = "00033990386: exception (not softint) 0008:00100346 (0x00100346)\n"
    lines, inside = listing.lines_in(first)
    assert inside and len(lines) == 1
    lines, inside = listing.lines_in("00033990400: iret 1000:0003 (0x00010003)\n" * 2, inside)
    assert [line.kind for line in lines] == ["iret"] and not inside


def test_a_kernel_that_wants_more_memory_than_usual_is_given_it(sector, tmp_path):
    """Its stack lies at 160 MiB: where there is no memory, the first frame is lost."""
    image, _ = sector("HIGH_STACK")
    options = image, "--memory", 192, "--first", FEW
    run = ringside("record", *options, "--output", tmp_path / "recording.json")
    assert run.returncode == 0, run.stderr
    verdicts = [verdict for _, verdict in judge.verdicts(recording.load(tmp_path / "recording.json"))]
    assert {verdict.kind for verdict in verdicts if verdict.crossing} == {
        "int 0x30, ring 0 to 0", "iret, ring 0 to 0", "int 0x30, ring 3 to 0", "iret, ring 0 to 3"}
    run = ringside("laws", *options, "--json")
    assert {finding["law"] for finding in json.loads(run.stdout)} == {"P3", "P6"}    # IF is clear; a TSS of zeros


@pytest.mark.parametrize("command", ["record", "laws"])
def test_more_memory_than_bochs_has_is_told_in_its_words(command):
    run = ringside(command, BUILD / "floppy.img", "--memory", 1 << 20)
    assert run.returncode in (1, 3) and run.stderr.startswith(f"{command}: Bochs does not start: ")
    assert "out of range" in run.stderr and run.stderr.count("\n") == 1


@pytest.mark.parametrize("words, says", [
    (["there-is-none.img"], "there is no there-is-none.img"),
    (["README.md"], "README.md does not boot"),
    (["build/floppy.img", "--from", "no_such_name"], "no symbol of"),
    (["build/floppy.img", "--first", "0"], "are above 0"),
    (["build/floppy.img", "--memory", "0"], "--memory are above 0"),
    (["build/floppy.img", "--elf", "README.md"], "is no ELF"),
    (["build/floppy.img", "--output", "/no/such/folder/x.json"], "there is no folder"),
])
def test_bad_input_is_answered_with_a_sentence(words, says):
    run = subprocess.run(by_name([ROOT / "scripts/ringside", "record", *words]), cwd=ROOT, text=True, capture_output=True,
                         timeout=60)
    assert run.returncode in (1, 2) and says in run.stderr and "Traceback" not in run.stderr


def test_without_grub_a_multiboot_elf_is_answered_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(anybochs, "has_grub", lambda: False)
    with pytest.raises(Unusable, match="grub-mkrescue.*install them"):
        anybochs.drive(Image(tmp_path / "k.elf", "multiboot ELF", []), tmp_path)


def test_a_disk_is_only_read(disk):
    image = recognise(disk[0] / "disk.img")
    before = image.path.read_bytes()
    assert "mode=volatile" in anybochs.drive(image, disk[0])
    assert image.path.read_bytes() == before
