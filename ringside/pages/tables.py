"""Blocks of sources and of a recording: values, listings, descriptor tables, sections of the tour.

Each function is called by docs.produce: block in, docs.Facts in, the block's text out; BadPage for a block that asks for
what is not there.
"""

import difflib
import pathlib
import re

from ringside.emulators.machines import ROOT
from ringside.pages import chapters, tour
from ringside.pages.blocks import BadPage, fenced

LANGUAGES = {".c": "c", ".h": "c", ".S": "gas"}
SEGMENT_HEADERS = ("ring0/segments.h", "procs/proc_segments.h")
SEGMENT_ROW = re.compile(r'SEG\(\w+, +(\w+), .*"(.*)"\)')  # of SEGMENT_HEADERS


# ---- what needs no run

def made(block, facts):
    return facts.tools


def contents(block, facts):
    """Of the book, in the language of the page: chapters, and how long they take."""
    language = pathlib.Path(block.page).resolve().parent.name
    lines = ["", *{"en": ("| chapter | minutes |", "|---|---|"), "zh-TW": ("| 章 | 分鐘 |", "|---|---|")}[language]]
    for chapter in chapters.chapters(language):
        lines.append(f"| [{chapter.title}]({chapter.path.name}) | {chapters.measure(chapter).minutes} |")
    return "\n".join(lines) + "\n"


def value(block, facts):
    name = block.words[0]
    symbols = facts.run.symbols
    if name not in symbols:
        near = difflib.get_close_matches(name, symbols, 5, 0.4)
        raise BadPage(f"{block.page}:{block.line}: no symbol {name}; the nearest names: {', '.join(near) or 'none'}")
    return f"`{symbols[name]:#x}`"


def source(block, facts):
    path, *limits = block.words
    lines = (ROOT / path).read_text().split("\n")
    first, last = 0, len(lines) - 1
    for index, limit in enumerate(limits):
        limit = limit.replace("\\t", "\t")
        found = [at for at in range(first, len(lines)) if lines[at].strip().startswith(limit)]
        if not found:
            raise BadPage(f"{block.page}:{block.line}: no line of {path} begins with {limit}")
        if index == 0:
            first, last = found[0], found[0]
        else:
            last = found[0]
    if not limits:
        last = len(lines)
    shown = lines[first:last + 1]
    language = "gas" if any(line.startswith("\t.") for line in shown) else LANGUAGES[pathlib.Path(path).suffix]
    return fenced("\n".join(shown), language)


# ---- what a recording tells

def descriptor_fields(raw):
    """Base, limit, access byte and size bit of a descriptor (Intel, volume 3, section 3.4.5)."""
    number = int(raw, 16)
    base = number >> 16 & 0xffffff | number >> 56 << 24
    limit = number & 0xffff | (number >> 48 & 0xf) << 16
    return base, limit, number >> 40 & 0xff, number >> 54 & 1


def type_name(access):
    if not access & 0x10:
        return {0x2: "LDT", 0x9: "32-bit TSS, available", 0xb: "32-bit TSS, busy"}[access & 0xf]
    return "execute/read" if access & 8 else "read/write"


def gdt(block, facts):
    """As at ckpt_frames: nothing is marked accessed or busy but what the stub itself has used."""
    return descriptor_table(facts, "GDT", facts.run.at("ckpt_frames")[0]["gdt"],
                            "| `0000` | | | | | | the null selector: may be loaded, not used |")


def ldt(block, facts):
    return descriptor_table(facts, "LDT", facts.run.ldt(block.words[0]), "| | | | | | | empty |")


def descriptor_table(facts, table, descriptors, empty):
    purposes = dict(row for header in SEGMENT_HEADERS for row in SEGMENT_ROW.findall((ROOT / header).read_text()))
    lines = ["", "| entry | selector | name | base | limit | type | DPL | purpose |", "|" + "---|" * 8]
    for index, raw in enumerate(descriptors):
        base, limit, access, _ = descriptor_fields(raw)
        if not access or table == "GDT" and index == 0:  # where lgdt's operand stands
            lines.append(f"| {index} {empty}")
            continue
        name = facts.run.name(index, table)
        lines.append(f"| {index} | `{facts.run.symbols[name]:04x}` | {name} | `{base:08x}` | `{limit:04x}` | "
                     f"{type_name(access)} | {access >> 5 & 3} | {purposes[name]} |")
    return "\n".join(lines) + "\n"


def descriptor(block, facts):
    name = block.words[0]
    selector = facts.run.symbols[name]
    table, raws = "GDT", facts.run.at("ckpt_frames")[0]["gdt"]
    if selector & tour.TI:
        table, raws = f"{name[0]}'s LDT", facts.run.ldt(name[0])
    raw = raws[selector >> 3]
    base, limit, access, size = descriptor_fields(raw)
    meaning = "operands and offsets of its code" if access & 8 else "esp, if it is a stack"
    bits = f"{32 if size else 16} bits: {meaning}"
    parts = (f"present: {access >> 7}, DPL: {access >> 5 & 3}, code or data: {access >> 4 & 1}, "
             f"type: {type_name(access)}")
    return fenced(f"""
selector    {selector:04x}   {name}
            in binary {selector:016b}
                      └─────┬─────┘│└┴─ RPL: {selector & 3}
                            │      └─── TI: {selector >> 2 & 1}, the {table[-3:]}
                            └────────── index: {selector >> 3}

descriptor  {raw[:8]} {raw[8:]}   entry {selector >> 3} of {table if "'" in table else "the GDT"}, upper and lower half
            base   {base:08x}   scattered over three places, for reasons of history
            limit  {limit:08x}   the last offset that is allowed
            access {access:02x}         {parts}
            D/B    {size}          {bits}
""")


def tour_section(block, facts):
    stop, heading = block.words
    for found, lines in tour.SHOWN[stop](facts.run)[1]:
        if found.startswith(heading):
            return fenced("\n".join(lines))
    raise BadPage(f"{block.page}:{block.line}: scripts/ringside tour has no section {heading} at {stop}")
