"""Each cheat of labs gets nothing, healthy trees lose nothing, and the quiz of docs/teaching.md is what runs show.

All of it is make test-labs: a test named on the command line is run as well.
"""

import re
import subprocess

import pytest

from ringside.emulators import machines
from ringside.labs import attack, facts, grade, handin, trees, variants
from ringside.labs.grade import REST
from ringside.laws import beginning, looks, probe, reach
from tests import labs
from tests.labs import BY_NUMBER, SEEDS, all_only, builds, sentences


# ---- the quiz of docs/teaching.md: what no recording of a healthy program can hold there

QUIZ = {    # a lab, broken, in an emulator: what its log has, and has not
    "04 bochs": ("switch n=2 from=A to=B.*\n.*switch n=4 from=A to=B", "from=B"),
    "02 bochs": ('name=#GP error=0182 means="IDT 0x30"', "switch"),
    "10 bochs": ('error=0014 means="LDT 0x14', "no fault at all"),
    "09 bochs": ("switch n=1 (.*\n)*?fault .*name=#GP", "switch n=4"),
    "09 qemu": ("switch n=16 ", "fault"),
}


@all_only
@builds
@pytest.mark.parametrize("what", QUIZ)
def test_the_quiz_says_what_a_broken_lab_shows(what, place):
    number, emulator = what.split()
    has, has_not = QUIZ[what]
    image = labs.built(trees.broken(BY_NUMBER[number], 0), place)
    if emulator == "qemu":
        with machines.Qemu(image) as machine:
            machine.key("f")
            machine.wait_log(has)
            log = "\n".join(machine.log())
    else:
        log = "\n".join(machines.bochs(["s 3000000"] * 3, image, magic=False).log)
    assert re.search(has, log) and has_not not in log, log


ON_ITS_PAGE = {    # what a lab's page says of the log, as QEMU shows it
    "02": "fault proc=A .*error=0182 (.*\n)*fault proc=B .*error=0182 ",
    "04": "switch n=1024 from=A to=B.*\n(.*\n)*fault .*error=002c .*while=restore",
    "10": "fault .*error=0014 .*while=restore",
    "53": "trap n=1 proc=A .*name=#BP .*\n(.*\n)*fault proc=B .*\n(.*\n)*fault proc=A ",
    "01": "fault proc=A .*name=#GP error=0000 .*while=restore\n(.*\n)*fault proc=B .*name=#GP error=0000 .*while=restore",
    "05": "switch n=2 from=. to=. esp0=",
    "16": "switch n=2 (.*\n)*panic ",
    "23": "panic vector=0d name=#GP error=0018",
    "24": "fault proc=B (.*\n)*panic check=\"schedule: interrupts are on",
    "33": "switch n=\\d+ from=A to=A",
    "40": "switch n=4 from=A to=A",
    "42": "panic vector=0a name=#TS error=0040",
    "43": "panic vector=0d name=#GP error=0040",
}

KEYS_ON_ITS_PAGE = {"04": "f", "33": "f", "53": "2"}      # f: full speed


@all_only
@builds
@pytest.mark.parametrize("number", ON_ITS_PAGE)
def test_a_page_says_what_is_seen_of_its_broken_program(number, place):
    lab = BY_NUMBER[number]
    image = labs.built(trees.broken(lab, 0), place, lab.program)
    with machines.Qemu(image) as machine:
        if number in KEYS_ON_ITS_PAGE:
            machine.wait_log("switch n=1 ")
            machine.key(KEYS_ON_ITS_PAGE[number])
        machine.wait_log(ON_ITS_PAGE[number].rpartition(")*")[2])
        assert re.search(ON_ITS_PAGE[number], "\n".join(machine.log()))


@all_only
@builds
def test_lab_18_says_what_is_seen_with_the_flag(place):
    image = labs.built(trees.broken(BY_NUMBER["18"], 0), place)
    with looks.EMULATORS["qemu"](image) as machine:
        machine.run_to(beginning.PROGRAM_START, timeout=looks.LIMIT)
        machine.set(eflags=machine.registers()["eflags"] | probe.NT)
        machine.go()
        machine.wait_log("switch n=4 from=B to=B")
        assert re.search("^fault proc=A .*name=#TS error=0000 .*while=restore\nend proc=A", "\n".join(machine.log()), re.M)


@all_only
@builds
def test_lab_38_says_where_a_byte_of_bs_is_found(place):
    """Both begin at the same place, and with the same data."""
    image = labs.built(trees.broken(BY_NUMBER["38"], 0), place, "userctx")
    entry, bases = beginning.first_of_ring_3(image), []
    with looks.EMULATORS["qemu"](image) as machine:
        machine.run_to(beginning.PROGRAM_START, timeout=looks.LIMIT)
        for _ in "AB":
            machine.run_to(entry, timeout=looks.LIMIT)
            bases.append(machine.registers()["ds"].base)
            machine.step()
    assert bases[0] == bases[1]


@all_only
@builds
def test_lab_49_says_where_it_ends_and_why_tells_the_same(place):
    image = labs.built(trees.broken(BY_NUMBER["49"], 0), place, "paged")
    why = subprocess.run([trees.ROOT / "scripts/ringside", "why", image, "--seconds", "5"], capture_output=True, text=True)
    assert why.returncode == 1 and "triple fault" in why.stdout
    assert re.search(": ljmp (.*\n)*first cause  the GDT cannot be read(.*\n)*chain (.*\n)* *#DF", why.stdout), why.stdout


PRESSED = {   # a question: a program, or a lab of P_PROC's, broken; a key; what the log has then, and has not
    "17 without": ("p_proc", "2", "fault proc=A .*name=#GP .*bytes=\"fa ", "switch n=0"),
    "17 with": ("19", "2", "trap n=1 proc=A .*name=#BP", 'bytes="fa '),     # int3 stands behind cli
    "18": ("paged", "5", "fault proc=A .*name=#PF error=0004 .*absent.*cr2=00000000", "switch n=0"),
    "19": ("paged", "3", "trap n=1 proc=A .*cs:eip=0033:08049", "fault"),
    "21": ("sysenter", "4", "fault proc=A .*name=#PF .*ring 3.*cs:eip=0043:.*ss:esp=004b:00000000 bytes=\"50 ", "switch n=0"),
}


@all_only
@builds
@pytest.mark.parametrize("number", PRESSED)
def test_the_quiz_says_what_a_key_shows(number, place):
    what, key, has, has_not = PRESSED[number]
    image = (labs.built(trees.broken(BY_NUMBER[what], 0), place) if what in BY_NUMBER
             else machines.floppy_that_starts(what, place / "floppy.img"))
    with machines.Qemu(image) as machine:
        machine.wait_log("switch n=4 ")
        machine.key(key)
        machine.wait_log(has)
        assert has_not not in "\n".join(machine.log())


@all_only
@builds
def test_the_quiz_says_what_becomes_of_a_tick_that_never_ended(place):
    image = labs.built(trees.broken(BY_NUMBER["28"], 0), place, "timer")
    found = probe.Probe("bochs", image, beginning.first_of_ring_3(image), 0).run()
    assert [finding.said for finding in found if finding.law == "H1"] != []


@all_only
@builds
def test_the_quiz_says_how_many_ports_a_base_of_0_opens(place):
    for tree, most in ((trees.broken(BY_NUMBER["21"], 0), 1000), (trees.whole(0), 0)):
        image = labs.built(tree, place)
        with looks.EMULATORS["bochs"](image) as machine:
            machine.run_to(beginning.first_of_ring_3(image))
            said = list(reach.ports_open(reach.Tables(machine.read, machine.registers())))
        assert len(said) == bool(most) and all(100 < int(one.split()[0]) < most for one in said)


# ---- cheats

OUT = '__asm__ volatile("outb %%%%al, %%%%dx" : : "a"((uint8_t)(%s)), "d"((uint16_t)(%s)));'
SWITCH = "tss->esp0 = (uint32_t)to;"
ENTRY = "\tstruct proc *to = frame_proc(saved)->next;\n"
DECOYS = {
    "the expected log is printed": f"""\tfor (const char *c = "switch n=1 from=A to=B\\n"; *c; c++)
\t\t{OUT % ("*c", 0xe9)}
""",
    "qemu's exit is asked for": f"\t{OUT % (0, 0x501)}\n",
    "bochs' exit is asked for": f"""\tfor (const char *c = "Shutdown"; *c; c++)
\t\t{OUT % ("*c", 0x8900)}
""",
    "turns last for ever": "\tfor (;;)\n\t\t;\n",
}


def cheat(place, number, others, seed=labs.SEED):
    lab = BY_NUMBER[number]
    return grade.grade(lab, labs.hand_in(place / "handin", lab, trees.broken(lab, seed), others, None), seed)


@all_only
@builds
@pytest.mark.parametrize("code", DECOYS.values(), ids=DECOYS)
def test_what_is_printed_or_asked_of_the_emulator_mends_nothing(code, place):
    text = trees.broken(BY_NUMBER["04"], 0)["switch.c"].decode()
    assert ENTRY in text
    result = cheat(place, "04", {"switch.c": text.replace(ENTRY, ENTRY + code)})
    assert result.points == 0 and "build" not in result.refused


@all_only
@builds
def test_the_esp0_of_another_student_is_no_answer(place):
    """Two frames, and which of them is next: true of one tree, and of no other."""
    seeds = [variants.seed_of(student, b"a secret of this course") for student in ("ann", "bob")]
    lab, ends = BY_NUMBER["04"], []
    for seed in seeds:
        image = labs.built(trees.whole(seed), place)
        seen = facts.of(image)["esp0"]
        ends.append(seen)
    assert ends[0] != ends[1]
    text = trees.whole(seeds[1])["switch.c"].decode()
    size = "(sizeof(struct frame) + HEADROOM_BYTES + sizeof(struct proc))"
    other = f"tss->esp0 = tss->esp0 == {ends[0]} ? {ends[0]} + {size} : {ends[0]};"
    folder = labs.hand_in(place / "handin", lab, trees.whole(seeds[1]), {"switch.c": text.replace(SWITCH, other)})
    assert grade.grade(lab, folder, seeds[1]).points == 0


@all_only
@builds
@pytest.mark.parametrize("number", ["00", "44"])
def test_the_answers_of_another_student_are_no_answers(number, place):
    lab = BY_NUMBER[number]
    seeds = [variants.seed_of(student, b"a secret of this course") for student in ("ann", "bob")]
    seen = [facts.of(labs.built(trees.broken(lab, seed), place)) for seed in seeds]
    values = [{question.answer: facts.value(one, question.answer) for question in lab.questions} for one in seen]
    for own, seed in zip(values, seeds):
        assert grade.grade(lab, labs.hand_in(place / "own", lab, {}, (), own), seed).points == lab.total
    result = grade.grade(lab, labs.hand_in(place / "copied", lab, {}, (), values[0]), seeds[1])
    assert result.points <= lab.total // 2, sentences(result)


GATE = "gate:\n\tsave_registers\n"


@all_only
@builds
@pytest.mark.parametrize("code", ["\tiret\n", "\tmov\t$1, %eax\n\tmov\t$2, %ecx\n\tmov\t$0, %edx\n\tiret\n"],
                         ids=["empty", "replays what was recorded"])
def test_a_gate_that_only_looks_like_one_gets_nothing(code, place):
    text = trees.broken(BY_NUMBER["06"], 0)["p_proc.S"].decode()
    text = re.sub(r"^gate:\n", "gate:\n" + code, text, flags=re.M)
    assert cheat(place, "06", {"p_proc.S": text}).points == 0


@all_only
@builds
def test_to_know_the_grader_by_its_code_is_no_help(place):
    """The gate looks for nops in ring 3's code, and does something else if there are some: it must still keep the laws."""
    text = trees.whole(0)["p_proc.S"].decode()
    look = "gate:\n\tcmpb\t$0x90, %cs:proc_a_code\n\tje\t1f\n\tjmp\t2f\n1:\tiret\n2:\n"
    assert cheat(place, "06", {"p_proc.S": re.sub(r"^gate:\n", look, text, flags=re.M)}).points == 0


CLOCK = '__asm__ volatile(".byte 0x0f, 0x31" : "=a"(now) : : "edx");'     # rdtsc, which an i386's assembler does not know
SEEN = {
    "one emulator": "__asm__ volatile(\"mov %%cr0, %0\" : \"=r\"(now)); right = !(now & 0x60000000);",
    "the other emulator": "__asm__ volatile(\"mov %%cr0, %0\" : \"=r\"(now)); right = !!(now & 0x60000000);",
    "who comes quickly": f"{CLOCK} right = now - last < 5000; last = now;",
    "who comes slowly": f"{CLOCK} right = now - last > 5000; last = now;",
    "the first turns": "now = ++last; right = now < 40;",
}


@all_only
@builds
@pytest.mark.parametrize("look", SEEN.values(), ids=SEEN)
def test_to_do_it_right_only_for_whom_one_takes_for_the_grader_is_no_help(look, place):
    """The emulators differ in CR0, and time tells a run that is looked at from one at full speed; both count."""
    text = trees.whole(0)["switch.c"].decode()
    cheating = (f"\tstatic uint32_t last;\n\tuint32_t now;\n\tint right;\n\n\t{look}\n\tif (right)\n\t\t{SWITCH}\n"
                "\t(void)last;\n")
    result = cheat(place, "04", {"switch.c": text.replace(f"\t{SWITCH}\n", cheating)})
    assert not result.refused and result.points <= 2, sentences(result)


@all_only
@builds
@pytest.mark.parametrize("name, text", [
    ("switch.c", '__asm__(".inc" "bin \\"@\\"");\n'),
    ("p_proc.S", '\t.macro read how\n\t.\\how "@"\n\t.endm\n\tread incbin\n'),
], ids=["in two pieces", "by a macro"])
def test_what_is_outside_the_tree_cannot_be_read_however_it_is_spelled(name, text, place):
    secret = place / "secret"
    secret.write_text("what other students have handed in")
    number = "04" if name == "switch.c" else "06"
    whole = trees.whole(0)[name].decode()
    result = cheat(place, number, {name: whole + text.replace("@", str(secret))})
    assert result.points == 0 and "it does not build" in result.refused, sentences(result)


@all_only
@builds
@pytest.mark.parametrize("before, after, words", [
    ("\tcall\tenter_protected_mode", "1:\tjmp\t1b\n\tcall\tenter_protected_mode", "ring 3 is never reached"),
    ("\t.balign\t4\nring0_stack_pointer", "\t.space\t10 << 30\nring0_stack_pointer", "it does not build"),
    ("\t.text\n", "\t.text\n\t.error \"no\"\n", "it does not build"),
], ids=["never halts", "10 GB", "an error"])
def test_what_does_not_build_or_never_gets_there_gets_nothing_and_a_sentence(before, after, words, place):
    text = trees.whole(0)["p_proc.S"].decode()
    assert before in text
    result = cheat(place, "06", {"p_proc.S": text.replace(before, after, 1)})
    assert result.points == 0 and words in result.refused


@all_only
@builds
@pytest.mark.parametrize("recipe", ["f() { f | f & }; f; sleep 1000", "while :; do :; done", "yes > build/p_proc.com"],
                         ids=["fork bomb", "loop", "endless file"])
def test_a_build_step_that_runs_wild_ends(recipe, place, monkeypatch):
    """No lab takes a Makefile: if one did, it would still come to an end. Sooner here than students' builds have to."""
    assert (handin.SECONDS, handin.MEMORY) == (20, 256 << 20)
    monkeypatch.setattr(handin, "SECONDS", 2)
    monkeypatch.setattr(handin, "ALL_SECONDS", 3 * 2)
    tree = {**trees.whole(0), "Makefile": f"build/p_proc.com:\n\tmkdir -p build; {recipe}\n".encode()}
    with pytest.raises(handin.Refused, match="does not build"):
        handin.build(tree, place / "tree")


@all_only
@builds
def test_a_makefile_that_is_handed_in_is_not_run(place):
    lab, trace = BY_NUMBER["04"], place / "trace"
    folder = labs.hand_in(place / "handin", lab, trees.whole(0), {"Makefile": f"$(shell touch {trace})\n"})
    result = grade.grade(lab, folder, 0)
    assert result.points == result.total and not trace.exists()


@all_only
@builds
@pytest.mark.parametrize("seed", SEEDS)
def test_no_healthy_tree_loses_a_point_whatever_its_numbers(seed, place):
    lab = BY_NUMBER["04"]._replace(points={"R1": 5, REST: 5})
    result = grade.grade(lab, labs.hand_in(place / "handin", lab, trees.whole(seed)), seed)
    assert result.points == result.total, sentences(result)


# ---- what would have the grader work for hours, end its emulators, or read what is not the tree's

@builds
@pytest.mark.parametrize("text", ["\n" * 60_000, "1" * 60_000 + ": a\n", "\u0130: \u0130\n1: \u0130\n", "1: abc\n2: ab c\n3: *\n",
                                  "1: a\n1: b\n1: c\n1: d\n" * 10, "\u0661: a\n1:: a\n-1: a\n"],
                         ids=["empty lines", "a long number", "letters", "all letters", "all in turn", "other digits"])
def test_odd_answers_are_wrong_answers_and_no_more(text, place):
    lab = BY_NUMBER["45"]
    assert lab.questions[0].answer != list(lab.questions[0].choices)[3]     # the last that is given counts
    result = grade.grade(lab, labs.hand_in(place / "handin", lab, {}, {"answers.txt": text}), 0)
    assert (result.points, result.refused) == (0, ""), sentences(result)


@builds
@pytest.mark.parametrize("text", ["\t.macro read how\n\t.\\how \"@\"\n\t.endm\n\tread include\n",
                                  "\t.macro read how\n\t.\\how \"@\"\n\t.endm\n\tread incbin\n", "\t.space 10 << 30\n"],
                         ids=["include", "incbin", "10 GB"])
def test_an_exploit_is_assembled_where_nothing_is_to_be_read(text, place):
    secret = place / "secret"
    secret.write_text("what other students have handed in\n")
    secret.chmod(0o600)
    with pytest.raises(handin.Refused, match="does not assemble") as refused:
        attack.code(text.replace("@", str(secret)), place)
    assert "students" not in str(refused.value)


ENDS = {
    "a reset by the keyboard": OUT % (0xfe, 0x64), "a reset by the chipset": OUT % (6, 0xcf9),
    "a fast reset": OUT % (1, 0x92), "power off": '__asm__ volatile("outw %%ax, %%dx" : : "a"(0x2000), "d"(0x604));',
    "no interrupt ever": '__asm__ volatile("cli; 1: hlt; jmp 1b");',
}


@all_only
@builds
@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS)
def test_who_ends_the_machine_ends_the_grade(code, place):
    """Behind some switches that are as they should be."""
    text = trees.whole(0)["switch.c"].decode()
    later = f"\tstatic unsigned turns;\n\n\tif (++turns == 9)\n\t\t{code}\n"
    result = cheat(place, "04", {"switch.c": text.replace(ENTRY, ENTRY + later)})
    assert not result.refused and result.points == 0, sentences(result)


@all_only
@builds
def test_switches_that_take_long_come_to_an_end_together(place):
    """Each of them takes some seconds of the machine's own, and comes back before it is given up."""
    text = trees.whole(0)["switch.c"].decode()
    slow = "\tfor (volatile unsigned i = 0; i < 1500000; i++)\n\t\t;\n"
    result = cheat(place, "04", {"switch.c": text.replace(ENTRY, ENTRY + slow)})
    assert not result.refused and result.points == 0 and "of all switches together" in sentences(result), sentences(result)


TABLES = {
    "a GDT full of LDTs of 4 GiB": "p[0] = 0xffff; p[1] = 0x008f8200;",
    "a GDT full of segments": "p[0] = 0xffff; p[1] = 0x00cff200;",
}


@all_only
@builds
@pytest.mark.parametrize("row", TABLES.values(), ids=TABLES)
def test_tables_without_end_are_not_read_to_their_end(row, place):
    """Ring 0 has a GDT of 16 KiB, most of it of the same row, from the ninth switch on."""
    text = trees.whole(0)["switch.c"].decode()
    code = f"""\tstatic unsigned turns;

\tif (++turns == 9) {{
\t\tstruct {{ uint16_t limit; uint32_t base; }} __attribute__((packed)) gdtr;

\t\t__asm__ volatile("sgdt %0" : "=m"(gdtr));
\t\tuint32_t *from = (uint32_t *)(gdtr.base - 0x10000), *to = (uint32_t *)0xb000;

\t\tfor (unsigned i = 0; i < 0x1000; i += 2) {{
\t\t\tuint32_t *p = to + i;

\t\t\tif (i * 4 <= gdtr.limit) {{
\t\t\t\tp[0] = from[i];
\t\t\t\tp[1] = from[i + 1];
\t\t\t}} else {{
\t\t\t\t{row}
\t\t\t}}
\t\t}}
\t\tgdtr.limit = 0x3fff;
\t\tgdtr.base = 0x1b000;
\t\t__asm__ volatile("lgdt %0" : : "m"(gdtr));
\t}}
"""
    result = cheat(place, "04", {"switch.c": text.replace(ENTRY, ENTRY + code)})
    assert not result.refused and result.points == 0, sentences(result)
