"""The tree of one student: the same program with other numbers, so that answers of one do not pass for another.

    seed = seed_of(student, secret)     an HMAC, one for all labs of a student; 0 is the tree as it is in the repository
    number = number_of(seed)                        what an attack is to write
    texts = variant(seed, source)       {file: text} of the files that differ

Other in each: the vector of the door, the order of the selectors in the GDT and in the procs' LDTs, the
headroom below the frames, the order of ds, es, fs, gs in a frame, and where the data begins.
"""

from collections.abc import Callable
import hashlib
import hmac
import random
import re

Source = Callable[[str], str]

DOOR = 0x30
DOORS = range(DOOR, DOOR + 16)
PUSHED = ("ds", "es", "fs", "gs")       # in the order of the pushes
ROW = re.compile(r"^SEG\((0x[0-9a-f]+),(.*)$")
NAME = re.compile(r"^SEG\(0x[0-9a-f]+, *(\w+),", re.M)
# The entries of start_gdt behind the first.
START = re.compile(r"(\tstart_descriptor ACCESS_CODE.*\n)(\tstart_descriptor ACCESS_DATA.*\n)(\t\.quad\t0, 0\n)"
                   r"(\t\.word\tSCREEN_BYTES.*\n\t\.byte\tSCREEN_LINEAR.*\n)")
EMPTY = "\t.quad\t0\n"
# Programs whose IDT ends with their door, and what of them asks for it.
IDTS = ("p_proc.S", "programs/kstack/kstack.S", "programs/userctx/userctx.S", "programs/hwtask/hwtask.S",
        "programs/hwtask/hwjump.S")
ASKERS = ("ring3/proc.h", "programs/kstack/kstack.S")
OWN_FRAMES = ("programs/sysenter/proc.h", "programs/userctx/context.h")    # other structs that begin as frame.h's


def seed_of(student: str, secret: bytes) -> int:
    return int.from_bytes(hmac.digest(secret, student.encode(), hashlib.sha256)[:6], "big") or 1


def number_of(seed: int) -> str:
    """What must appear: eight digits, other for each student."""
    return f"{seed % 90_000_000 + 10_000_000}"


def _rows(text: str, table: str, shuffle: Callable[[list[str]], None]) -> str:
    """The rows of a table of segments in another order; each takes the place that it then has."""
    head, _, rest = text.partition(f"#define {table}(SEG) \\\n")
    lines = rest.split("\n")
    count = next(number for number, line in enumerate(lines) if not line.endswith("\\")) + 1
    rows = [line.removesuffix("\\").rstrip() for line in lines[:count]]
    places = [match[1] for match in map(ROW.match, rows) if match]
    shuffle(rows)
    moved = [f"SEG({place}," + row.partition(",")[2] for place, row in zip(places, rows)]
    return f"{head}#define {table}(SEG) \\\n" + " \\\n".join(moved) + "\n" + "\n".join(lines[count:])


def _flat(text: str, names: list[str]) -> str:
    """flat_segments.h with the rows of ring 0 in the order of names, in the table of the start as well."""
    text = _rows(text, "FLAT_RING0_SEGMENTS", lambda rows: rows.sort(key=lambda row: names.index(NAME.findall(row)[0])))
    head, code, data, empty, screen, end = START.split(text)
    entries = {"RING0_CODE": code, "RING0_DATA": data, "TSS": EMPTY, "DOUBLE_FAULT": EMPTY, "RING0_SCREEN": screen}
    assert set(entries) == set(names) and empty == "\t.quad\t0, 0\n"
    return head + "".join(entries[name] for name in names) + end


def _members(text: str, order: list[str]) -> str:
    """A struct that begins with the selectors, as they are pushed."""
    members = ", ".join(f"{name}, {name}_upper" for name in reversed(order))
    return re.sub(r"uint16_t gs, gs_upper, .*ds_upper;", f"uint16_t {members};", text)


def _frame(text: str, order: list[str]) -> str:
    """frame.h with the selectors pushed in another order."""
    text = re.sub(r"(\tpusha\n)(?:\tpush\t%\w\w\n){4}",
                  lambda found: found[1] + "".join(f"\tpush\t%{name}\n" for name in order), text)
    text = re.sub(r"(?:\tpop\t%\w\w\n){4}(\tpopa\n)",
                  lambda found: "".join(f"\tpop\t%{name}\n" for name in reversed(order)) + found[1], text)
    text = _members(text, order)
    text = text.replace("offsetof(struct frame, gs) == 0", f"offsetof(struct frame, {order[-1]}) == 0")
    text = text.replace("offsetof(struct frame, ds) == 12", f"offsetof(struct frame, {order[0]}) == 12")
    for place, name in zip((12, 8, 4, 0), order):
        text = re.sub(rf"^( \*\t *\+{place}  )\w\w", rf"\g<1>{name}", text, flags=re.M)
    return text


def _own_frame(text: str, order: list[str]) -> str:
    """The same of SYSENTER's and of USERCTX's."""
    text = _members(text, order).replace("  ds es fs gs\tby push", f"  {' '.join(order)}\tby push")
    text = text.replace("uint32_t gs, fs, es, ds;", f"uint32_t {', '.join(reversed(order))};")
    text = text.replace("AT(gs, 0); AT(fs, 4); AT(es, 8); AT(ds, 12);",
                        " ".join(f"AT({name}, {place});" for place, name in zip((0, 4, 8, 12), reversed(order))))
    for place, name in zip((12, 8, 4, 0), order):
        text = re.sub(rf"^( \*\t +\+{place} )\w\w(?= )", rf"\g<1>{name}", text, flags=re.M)
    return text


def _first_frame(text: str, order: list[str]) -> str:
    value = {"ds": "\\data", "es": "\\data", "fs": "0", "gs": "\\screen"}
    words = ", ".join(value[name] for name in reversed(order))
    return text.replace("\t.long\t\\screen, 0, \\data, \\data\t\t# gs fs es ds",
                        f"\t.long\t{words}\t\t# {' '.join(reversed(order))}")


def variant(seed: int, source: Source) -> dict[str, str]:
    """{file: text} of what is other in this student's tree."""
    if not seed:
        return {}
    dice = random.Random(seed)
    door = dice.choice(DOORS)
    order = list(PUSHED)
    dice.shuffle(order)
    headroom, shift = 4 * dice.randrange(16), 16 * dice.randrange(64)
    texts = {name: source(name) for name in {*IDTS, *ASKERS, "ring0/segments.h", "ring0/flat_segments.h", "procs/proc_segments.h",
                                             "ring0/frame.h", "ring0/program.ld", "procs/first_frame.h", *OWN_FRAMES}}
    for name in IDTS:
        texts[name] = texts[name].replace("\tfault_gates\nidt_gate:", f"\tfault_gates\n\t.fill\t{door - DOOR}, 8, 0\nidt_gate:")
    for name in ASKERS:
        texts[name] = texts[name].replace("int\t$0x30", f"int\t${door:#x}")
    texts["ring0/segments.h"] = _rows(texts["ring0/segments.h"], "RING0_SEGMENTS", dice.shuffle)
    texts["ring0/flat_segments.h"] = _flat(texts["ring0/flat_segments.h"], NAME.findall(texts["ring0/segments.h"]))
    for table in ("A_SEGMENTS", "B_SEGMENTS"):
        texts["procs/proc_segments.h"] = _rows(texts["procs/proc_segments.h"], table, dice.shuffle)
    texts["ring0/frame.h"] = _frame(texts["ring0/frame.h"], order).replace(
        "#define HEADROOM_BYTES\t(4 * (4 + 2 + 12))", f"#define HEADROOM_BYTES\t(4 * (4 + 2 + 12) + {headroom})")
    for name in OWN_FRAMES:
        texts[name] = _own_frame(texts[name], order)
    texts["procs/first_frame.h"] = _first_frame(texts["procs/first_frame.h"], order)
    texts["ring0/program.ld"] = texts["ring0/program.ld"].replace(
        "data_start = ALIGN(0x1000) + 0x1000;", f"data_start = ALIGN(0x1000) + {0x1000 + shift:#x};")
    return texts
