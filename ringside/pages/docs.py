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
import concurrent.futures
import difflib
import functools
import pathlib
import re
import shlex
import subprocess
import tempfile

from ringside.costs import cost, counts, designs, spaces
from ringside.emulators import machines
from ringside.emulators.machines import ROOT
from ringside.pages import claims, mistakes, sessions, tables, tour
from ringside.pages.blocks import MARK, BadPage, Block

INLINE = ("made", "value", "measured", "count")
VARYING = ("made", "measured")  # not compared
DEBUGGER = ("bochs", "try", "costs")


def blocks_of(page, text):
    """The blocks of a page, in their order; BadPage for one that is none."""
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


# What makes a block's text. A session makes all blocks of its page at once.
MAKERS = {"made": tables.made, "contents": tables.contents, "value": tables.value, "source": tables.source,
          "gdt": tables.gdt, "ldt": tables.ldt, "descriptor": tables.descriptor, "tour": tables.tour_section,
          "mistake": sessions.mistake, "change": sessions.change, "answers": sessions.answers,
          "costs": sessions.costs, "choose": sessions.choose, "measured": sessions.measured, "count": sessions.count,
          "instructions": sessions.instructions, "break": sessions.broken, "bochs": None, "try": None}


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
        return counts.counted(designs.P_PROC).steps["A"]

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
    talking = [[block for block in blocks if block.kind == "bochs" and block.page == page]
               for page in dict.fromkeys(block.page for block in blocks)]
    made_so_far = {id(block): facts.known[same] for block in blocks if (same := what_runs(block)) in facts.known}
    new = {what_runs(block): block for block in blocks if id(block) not in made_so_far}.values()
    talking += [[block] for block in new if block.kind == "try"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        talks = [(talk, pool.submit(sessions.session, talk, facts)) for talk in talking if talk]
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
