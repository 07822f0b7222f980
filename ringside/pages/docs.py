"""Fills the pages in docs/ with what the sources, the build and real runs say.

usage: scripts/ringside docs [--check] [PAGE ...]

  PAGE     a page in Markdown; all in docs/ and docs/book/ unless given
  --check  changes nothing; says which blocks differ, and fails if any does

A block is what stands between <!-- run: WHAT --> and <!-- end -->; WHAT is one of

  made                        the compiler and the Bochs of this page; of the book, in its README.md
  contents                    the book's chapters, and how many minutes each takes
  value NAME                  a symbol, in the middle of a sentence
  source FILE [FROM [TO]]     a source, or from the first line that begins with FROM
                              to the next one that begins with TO
  gdt                         the GDT as the CPU sees it, a table
  ldt A                       the same of a proc's LDT
  descriptor NAME             a selector and its descriptor, taken to pieces
  tour STOP HEADING           a section of scripts/ringside tour
  mistake N WHAT              of one of the mistakes behind keys: its source, log,
                              report on the screen, error code bit by bit, or where the
                              instruction is found (scripts/ringside mistakes)
  change N INSTRUCTIONS       the log, if mistake N has these instructions in place of its own
  answers                     what ring 3 may ask the CPU, and is told (scripts/ringside mistakes)
  costs designs               what each design costs, a table (ringside/costs/cost.py)
  costs rings                 the same switch in rings of more procs
  costs pages                 what a change of the memory space costs (ringside/costs/spaces.py)
  costs spaces                the same among more spaces
  costs clocks                what a count hides: clocks of the manuals, cycles measured (ringside/costs/clocks.py)
  choose                      how to choose a design, a table (ringside/costs/choose.py)
  measured                    when and with what its last two columns were measured; like
                              those, --check does not compare it, nor measures
  count DESIGN                its instructions from A to B, in the middle of a sentence
  bochs, then commands        the page's session in Bochs' debugger: all these blocks of
                              a page are one run, in their order
  try, then commands          a session of its own; {NAME} in a command is a symbol
  break FILE, then -+ lines   make bochs-headless after that change to a source;
                              "break FILE on QEMU": the log in QEMU, too;
                              "break FILE playing kstack": of another program
  instructions                from A's int to B's first instruction, at full speed, one in a line

A line "=> TEXT" among commands or changes is what the words of the page count on: the
answer so far, from the command above it, must contain TEXT, else scripts/ringside docs refuses to go on.
A command "~ COMMAND" is executed and not shown: in its place stands an ellipsis.

A claim, <!-- holds: EXPRESSION -->words<!-- end -->, says what a value is; ringside/pages/claims.py
has what an expression may say. One that does not hold is an error, with --check and without,
and so is a sentence that says what a flag is, or a DPL, and has no mark.
What ringside why says of a mistake, below <!-- mistake: NAME -->, is held by tests/test_why.py.

A page was made with one compiler. With another one it is compared without addresses,
and with another Bochs without what its debugger says; scripts/ringside docs mentions it.
"""

import argparse
import collections
import concurrent.futures
import difflib
import functools
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

from ringside.costs import cost, spaces
from ringside.emulators import machines
from ringside.emulators.machines import ROOT
from ringside.pages import chapters, claims, mistakes, tour
from ringside.emulators import versions

MARK = re.compile(r"<!-- run: (.*?)-->(.*?)<!-- end -->", re.S)
INLINE = ("made", "value", "measured", "count")
VARYING = ("made", "measured")  # not compared
DEBUGGER = ("bochs", "try", "costs")
LANGUAGES = {".c": "c", ".h": "c", ".S": "gas"}
LOG_LINES = 5
BUILT = (".o", ".d", ".bin", ".elf", ".com", ".sym", ".lst")
SEGMENT_HEADERS = ("ring0/segments.h", "procs/proc_segments.h")
SEGMENT_ROW = re.compile(r'SEG\(\w+, +(\w+), .*"(.*)"\)')  # of SEGMENT_HEADERS

Block = collections.namedtuple("Block", "page line kind words commands text")
PROMISE = "=> "
UNSEEN = "~ "


class BadPage(Exception):
    """What is wrong with a page, with its line."""


def demand(block, text, answer):
    if text not in versions.as_bochs_2_says(answer):
        raise BadPage(f"{block.page}:{block.line}: the page counts on \"{text}\", but the run says\n{answer}")


def blocks_of(page, text):
    for match in MARK.finditer(text):
        head, *commands = match[1].strip("\n").split("\n")
        line = text.count("\n", 0, match.start()) + 1
        words = shlex.split(head)
        if not words or words[0] not in MAKERS:
            raise BadPage(f"{page}:{line}: no block of this kind: {head.strip() or 'nothing'}")
        if words[0] in INLINE and text[:match.start()].endswith("\n"):
            raise BadPage(f"{page}:{line}: a line must not begin with this block, Markdown would not look into it")
        yield Block(page, line, words[0], words[1:], [command for command in commands if command], match[2])
    rest = claims.HOLDS.sub("", MARK.sub("", text))
    if lost := re.search(r"<!-- (run:|end).*", rest):
        raise BadPage(f"{page}: a block without its other half: {lost[0]}")


def fenced(text, language="text"):
    lines = "\n".join(line.expandtabs(8).rstrip() for line in text.strip("\n").split("\n"))
    return f"\n```{language}\n{lines}\n```\n"


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


# ---- what the debugger says

def transcript(debugger, block, facts):
    """Commands typed at the prompt, and what came back, as on the screen; {NAME} is a symbol's number."""
    lines, answer = [], ""
    for command in block.commands:
        if command.startswith(UNSEEN):
            answer = debugger.cmd(command.removeprefix(UNSEEN))
            lines += [] if lines[-1:] == ["…\n"] else ["…\n"]
            continue
        if command.startswith(PROMISE):
            demand(block, command.removeprefix(PROMISE), answer)
            continue
        command = re.sub(r"\{(\w+)\}", lambda name: f"{facts.run.symbols[name[1]]:#x}", command)
        prompt = re.findall(r"<bochs:\d+> ", debugger.text)[-1]
        try:
            answer = debugger.cmd(command)
        except machines.Missing:
            last_words = re.search(r"^Bochs is exiting.*\n.*\n", (debugger.dir / "stderr").read_text(), re.M)
            if debugger.alive() or not (last_words or command == "q"):
                raise
            answer = last_words[0] if last_words else ""
        # The count of ticks depends on the BIOS and on the time of day.
        lines.append(prompt + command + "\n" + re.sub(r"^Next at t=\d+", "Next at t=…", answer, flags=re.M))
    return fenced("".join(lines))


def session(blocks, facts):
    """The answers to all blocks of one session."""
    with machines.Bochs() as debugger:
        return [transcript(debugger, block, facts) for block in blocks]


# ---- what a change breaks

def broken(block, facts):
    """The diff, and what make bochs-headless says to it."""
    path, *where = block.words
    change = [line for line in block.commands if not line.startswith(PROMISE)]
    old = "".join(line[1:] + "\n" for line in change if line[0] != "+")
    new = "".join(line[1:] + "\n" for line in change if line[0] != "-")
    with tempfile.TemporaryDirectory(prefix="rp-") as folder:
        tree = pathlib.Path(folder) / "ringpong"
        shutil.copytree(ROOT, tree, symlinks=True, ignore=what_no_build_needs)
        text = (tree / path).read_text()
        if text.count(old) != 1:
            raise BadPage(f"{block.page}:{block.line}: these lines are in {path} {text.count(old)} times")
        (tree / path).write_text(text.replace(old, new))
        build = subprocess.run(["make", "-s", "-C", str(tree)], text=True, capture_output=True)
        if build.returncode:
            raise BadPage(f"{block.page}:{block.line}: the changed program does not build\n{build.stderr}")
        program = ["--program", where[1]] if where[:1] == ["playing"] else []
        run = subprocess.run([str(tree / "scripts" / "bochs"), "--headless", *program], text=True, timeout=150,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = fenced(f"--- {path}\n" + "\n".join(change), "diff") + shown(run.stdout)
        if where == ["on", "QEMU"]:
            with machines.Qemu(tree / "build" / "floppy.img") as qemu:
                seen = qemu.wait_log("switch n=1 .*")[0]
                log = qemu.log()
                text += "\nThe same floppy in QEMU:\n" + shown("\n".join([*log[:log.index(seen)], seen, "…"]))
    for line in block.commands:
        if line.startswith(PROMISE):
            demand(block, line.removeprefix(PROMISE), text)
    return text


def what_no_build_needs(folder, names):
    """For a copy of the project to build in. What has been built comes along, and nothing else from build/."""
    here = pathlib.Path(folder)
    skipped = {name for name in names if name.startswith(".") or here == ROOT and name in ("docs", "ringside", "tests")}
    if here == machines.BUILD:
        skipped |= {name for name in names if pathlib.Path(name).suffix not in BUILT and name != "how"
                    and not (ROOT / name).is_dir()}
    return skipped


def shown(log):
    lines = log.splitlines()
    return fenced("\n".join(lines[:LOG_LINES] + ["…"] * (len(lines) > LOG_LINES)))


# ---- what a proc's mistake leads to

def mistake(block, facts):
    number, what = block.words
    if number not in map(str, mistakes.NUMBERS):
        raise BadPage(f"{block.page}:{block.line}: no mistake {number}; there are: 1 to 6")
    number = int(number)
    report = facts.reports[number]
    text = {"source": lambda: mistakes.source(number),
            "log": lambda: f"{report.fault}\n{report.end}",
            "report": lambda: "\n".join(report.lines),
            "error": lambda: mistakes.error_bits(report),
            "found": lambda: mistakes.found_at(report)}.get(what)
    if not text:
        raise BadPage(f"{block.page}:{block.line}: of a mistake there is source, log, report, error, found; not {what}")
    return fenced(text(), "gas" if what == "source" else "text")


def change(block, facts):
    """What ring 0 says if a mistake has other instructions."""
    number, *code = block.words
    text = " ".join(code)
    said = fenced(text.replace("; ", "\n"), "gas") + fenced("\n".join(mistakes.changed(int(number), text)))
    for line in block.commands:
        demand(block, line.removeprefix(PROMISE), said)
    return said


def answers(block, facts):
    return facts.answers


# ---- what a switch costs

def costs(block, facts):
    tables = ("designs", "rings", "pages", "spaces", "clocks")
    if block.words[0] not in tables:
        raise BadPage(f"{block.page}:{block.line}: costs of what? There are: {', '.join(tables)}")
    table, missing = getattr(facts, block.words[0])
    if missing and facts.speeds:  # to be written
        raise BadPage(f"{block.page}:{block.line}: not complete: {'; '.join(missing)}")
    return "\n\n" + table + "\n"


def choose(block, facts):
    return "\n\n" + cost.choice_table() + "\n"


def measured(block, facts):
    return facts.speeds.when if facts.speeds else block.text


def instructions(block, facts):
    """The way from A to B, as cost.py steps it: each instruction with its accesses to memory."""
    listed = dict(re.findall(r"^ +([0-9a-f]+):\t[0-9a-f ]+\t(.*)$", (machines.BUILD / "p_proc.lst").read_text(), re.M))
    names = {value: name for name, value in facts.run.symbols.items() if not name.isupper()}
    lines = [" n  instruction                           accesses"]
    for number, step in enumerate(facts.switch, 1):
        text = listed[f"{machines.sym('proc_a_code') + step.eip if step.cs & 3 else step.eip:x}"]
        text = re.sub(r"\w+ <([\w+]+)>", r"\1", text.partition("#")[0])
        text = re.sub(r"(?<![$-])\b0x([0-9a-f]+)\b(?!\()", lambda at: names.get(int(at[1], 16), at[0]), text)
        lines.append(f"{number:2}  {' '.join(text.split()):38} {step.accesses or '–':>4}")
    return fenced("\n".join(lines))


def count(block, facts):
    rows = [[cell.strip() for cell in line.split("|")[1:]] for line in facts.designs[0].splitlines()]
    found = {row[0]: row[1] for row in rows}
    if block.words[0] not in found:
        raise BadPage(f"{block.page}:{block.line}: no design {block.words[0]}; there are: {', '.join(found)}")
    return found[block.words[0]]


MAKERS = {"contents": contents, "change": change, "instructions": instructions,
          "costs": costs, "measured": measured, "count": count, "choose": choose,
          "mistake": mistake, "answers": answers, "made": made, "value": value, "source": source,
          "gdt": gdt, "ldt": ldt, "descriptor": descriptor,
          "tour": tour_section, "break": broken, "bochs": None, "try": None}


# ---- all blocks at once

class Facts:
    """What blocks have in common; the runs are made when a block wants them."""

    speeds = None  # not measured

    def __init__(self, recorded=None):
        self.recorded = recorded
        self.known = {}  # blocks that have been made already, by what_runs
        self.tools = f"{compiler()} and {bochs_version()}"

    @functools.cached_property
    def run(self):
        return tour.Run(self.recorded or tour.own_recording())

    @functools.cache
    def claimed(self, program):
        return claims.recorded_names(program)

    @functools.cached_property
    def reports(self):
        return mistakes.in_bochs()

    @functools.cached_property
    def switch(self):
        return cost.counted(cost.P_PROC).steps["A"]

    @functools.cached_property
    def designs(self):
        return cost.table(self.speeds)

    @functools.cached_property
    def rings(self):
        return cost.ring_table(self.speeds)

    @functools.cached_property
    def pages(self):
        return spaces.pages_table(self.speeds and self.speeds.pages)

    @functools.cached_property
    def spaces(self):
        return spaces.spaces_table(self.speeds and self.speeds.spaces)

    @functools.cached_property
    def clocks(self):
        return cost.clocks_table(self.speeds)

    @functools.cached_property
    def answers(self):
        with tempfile.TemporaryDirectory(prefix="rp-") as folder:
            return mistakes.answers_table(mistakes.answers(folder))


def compiler():
    """The one that has made the build, as its debug information tells."""
    info = subprocess.run(["readelf", "--debug-dump=info", "--dwarf-depth=1", str(machines.PROGRAM)],
                          check=True, capture_output=True, text=True).stdout
    name, version = re.search(r"DW_AT_producer.*(GNU C\d+|clang version) ([\d.]+)", info).groups()
    return f"{'gcc' if name.startswith('GNU') else 'clang'} {version}"


def bochs_version():
    with machines.Bochs() as debugger:
        return re.search(r"Bochs x86 Emulator (\S+)", debugger.text)[0].replace(" x86 Emulator", "")


def what_runs(block):
    """Blocks that are alike in this are made by the same run: those of both languages of the book."""
    return block.kind, *block.words, *block.commands, *([block.page] if block.kind == "contents" else [])


def produce(blocks, facts):
    """The text of each block, in their order."""
    sessions = [[block for block in blocks if block.kind == "bochs" and block.page == page]
                for page in dict.fromkeys(block.page for block in blocks)]
    made_so_far = {id(block): facts.known[same] for block in blocks if (same := what_runs(block)) in facts.known}
    new = {what_runs(block): block for block in blocks if id(block) not in made_so_far}.values()
    sessions += [[block] for block in new if block.kind == "try"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        talks = [(talk, pool.submit(session, talk, facts)) for talk in sessions if talk]
        others = [(block, pool.submit(MAKERS[block.kind], block, facts))
                  for block in new if MAKERS[block.kind]]
        for talk, future in talks:
            made_so_far.update({id(block): text for block, text in zip(talk, future.result())})
        for block, future in others:
            made_so_far[id(block)] = future.result()
    facts.known |= {what_runs(block): made_so_far[id(block)] for block in new if block.kind != "bochs"}
    made_so_far |= {id(block): facts.known[what_runs(block)] for block in blocks if block.kind != "bochs"}
    return [made_so_far[id(block)] for block in blocks]


# ---- comparing

def without_addresses(text):
    """What another compiler leaves as it is."""
    text = re.sub(r"<[\w.+]+>", "<>", text)
    text = re.sub(r"\b(0x)?[0-9a-fA-F]+\b", "#", text)
    text = text.replace("◀── changed", "")  # such as flags, which the stub leaves as they are
    return re.sub(r"[ #]+", " ", text)


def tools_of_the_book(blocks):
    """A chapter was made with what the page in front of all chapters says."""
    contents = [pathlib.Path(block.page).with_name("README.md") for block in blocks[:1]]
    if contents and contents[0].is_file():
        return next((match[2] for match in MARK.finditer(contents[0].read_text()) if match[1].strip() == "made"), None)
    return None


def differences(blocks, texts, facts):
    """(block, diff) for each block that does not say what a run says, and notes about it all."""
    notes, found = [], []
    page_tools = next((block.text for block in blocks if " and " in block.text and block.kind == "made"), None) \
        or tools_of_the_book(blocks) or facts.tools
    same_compiler, same_bochs = (page == here for page, here in zip(page_tools.split(" and "),
                                                                    facts.tools.split(" and ")))
    if not same_compiler:
        notes.append(f"compared without addresses: made with {page_tools}, here is {facts.tools}")
    if not same_bochs:
        skipped = sum(block.kind in DEBUGGER for block in blocks)
        notes.append(f"not compared: {skipped} blocks of the debugger; made with {page_tools}, here is {facts.tools}")
    for block, text in zip(blocks, texts):
        if block.kind in VARYING or block.kind in DEBUGGER and not same_bochs:
            continue
        here, there = cost.comparable(block.text, text) if block.kind == "costs" else (block.text, text)
        alike = (lambda one: one) if same_compiler else without_addresses
        if alike(here) != alike(there):
            diff = difflib.unified_diff(here.splitlines(), there.splitlines(), "page", "run", n=0, lineterm="")
            found.append((block, "\n".join(list(diff)[:12])))
    return found, notes


def refilled(text, blocks, texts):
    fresh = iter(zip(blocks, texts))

    def replace(match):
        block, new = next(fresh)
        return f"<!-- run: {match[1]}-->{new}<!-- end -->"
    return MARK.sub(replace, text)


def false_claims(page, text, facts):
    """What is said of each claim of a page that does not hold."""
    said = []
    for claim in claims.claims_of(page, text):
        try:
            claims.check(claim, facts.claimed(claim.program))
        except claims.Untrue as untrue:
            said.append(str(untrue))
    # A program's own page speaks of rules more than of values: there, marks are up to the writer.
    return said + (claims.bare_claims(page, text) if claims.program_of(page) == "p_proc" else [])


def all_pages():
    return [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "book").glob("*/*.md"))]


def main(arguments):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("pages", nargs="*")
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    if subprocess.run(["sh", str(ROOT / "scripts" / "need"), "bochs", "qemu-system-i386", "make", "nm", "mcopy"]).returncode:
        return 1
    if not machines.FLOPPY.exists():
        raise SystemExit("docs: no build/floppy.img: it is built by: make")
    pages = [pathlib.Path(page) for page in options.pages] or all_pages()
    if missing := [str(page) for page in pages if not page.is_file()]:
        raise SystemExit(f"docs: no page {', '.join(missing)}; a page is a file: docs/tour.md")
    code = 0
    facts = Facts()
    for page in pages:
        text = page.read_text()
        try:
            blocks = list(blocks_of(page, text))
            if not options.check and any(block.kind == "measured" for block in blocks):
                facts.speeds = spaces.all_measured()  # before anything else runs
            untrue = false_claims(page, text, facts)
            texts = produce(blocks, facts)
        except (BadPage, claims.Untrue, machines.Missing) as error:
            raise SystemExit(f"docs: {error}") from None
        for what in untrue:
            print(what)
            code = 1
        if not options.check:
            new = refilled(text, blocks, texts)
            changed = sum(block.text != made for block, made in zip(blocks, texts))
            if new != text:
                page.write_text(new)
            print(f"{page}: {len(blocks)} blocks, {changed} of them changed")
            continue
        found, notes = differences(blocks, texts, facts)
        for note in notes:
            print(f"{page}: {note}")
        for block, diff in found:
            print(f"{page}:{block.line}: {block.kind} {' '.join(block.words)}: the run says something else\n{diff}")
            code = 1
        advice = ": refill them with: make docs" if found else ""
        print(f"{page}: {len(found)} of {len(blocks)} blocks differ{advice}")
    return code
