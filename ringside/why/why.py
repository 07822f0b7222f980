"""Why did this kernel die? Looks at an image in QEMU, or at a log of QEMU's alone.

    scripts/ringside why build/kernel.elf
    scripts/ringside why floppy.img --elf kernel.elf --seconds 5
    scripts/ringside why --log qemu.log             a log made with qemu -d int,cpu_reset -D qemu.log

Exit status: 0 nothing was refused, 1 a cause is found, 2 it cannot be told, 3 wrong usage.
"""

import argparse
import dataclasses
import json
import pathlib
import shlex
import sys
import textwrap
import typing

from ringside.emulators import image
from ringside.why import elf, log, page, run, settings, source, story, view, witness, words
from ringside.why.machine import Machine

WIDTH = 118
CANNOT_TELL, USAGE = 2, 3


class Parser(argparse.ArgumentParser):
    """Wrong usage has status 3, as nothing else."""
    def error(self, message: str) -> typing.NoReturn:
        """Says what is wrong and ends with 3."""
        self.print_usage(sys.stderr)
        print(f"why: {message}", file=sys.stderr)
        sys.exit(USAGE)


def parser() -> Parser:
    """The options."""
    made = Parser(prog="scripts/ringside why", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("image", nargs="?", type=pathlib.Path, help="a floppy, disk or CD image, or a multiboot ELF; it is only "
                      "read")
    made.add_argument("--log", type=pathlib.Path, help="QEMU's log, instead of an image")
    made.add_argument("--elf", type=pathlib.Path, help="the kernel's ELF, for symbols and source lines")
    made.add_argument("--base", type=lambda text: int(text, 0), default=0, help="what to add to the ELF's addresses, if it runs "
                      "elsewhere")
    made.add_argument("--seconds", type=float, default=10, help="how long it may run (10)")
    made.add_argument("--until", default="", help="a text on the serial line or port 0xe9 at which to stop")
    made.add_argument("--keys", default="", help="what to type")
    made.add_argument("--machine", default="pc", help="QEMU's -M (pc)")
    made.add_argument("--memory", type=int, default=128, help="MiB (128)")
    made.add_argument("--cpu", default="pentium3", help="QEMU's -cpu (pentium3)")
    made.add_argument("--crossings", type=int, default=8192, help="after how many it is left alone (8192)")
    made.add_argument("--qemu", default="", help="more options for QEMU, in one string, with whole paths: \"-drive "
                      "file=/a/b,if=ide,index=1\"")
    made.add_argument("--witness", action="store_true", help="let Bochs run it again, up to the refused crossing, with all "
                      "accesses; else only if QEMU cannot tell")
    made.add_argument("--no-witness", action="store_true", help="QEMU alone, whatever it cannot tell")
    made.add_argument("--who", action="store_true", help="who wrote the deciding word last: Bochs once more, with a watchpoint")
    made.add_argument("--json", action="store_true", help="the same as JSON")
    made.add_argument("--html", type=pathlib.Path, help="a page with the same, to be written there besides")
    made.add_argument("--svg", type=pathlib.Path, help="a picture of the same, to be written there besides")
    return made


def main(arguments: list[str]) -> int:
    """The exit status."""
    made = parser()
    try:
        options = made.parse_args(arguments)
        if bool(options.image) == bool(options.log):
            made.error("give an image, or a log with --log; --help says more")
        if options.seconds <= 0 or options.memory <= 0 or options.crossings <= 0:
            made.error("--seconds, --memory and --crossings are above 0")
        told, shown = (from_log(options), view.instead(view.OF_A_LOG)) if options.log else from_image(options)
        print(json.dumps(dataclasses.asdict(told), indent=1) if options.json else text(told))
        write(told, shown, options)
    except image.Unusable as reason:
        print(f"why: {reason}", file=sys.stderr)
        return USAGE
    except PermissionError as reason:
        print(f"why: {reason.filename}: permission denied; give yourself the right to it (chmod, or another place for what is "
              "written)",
              file=sys.stderr)
        return USAGE
    except FileNotFoundError as reason:
        print(f"why: there is no {reason.filename}: a file to read must be there, and the folder of one to write",
              file=sys.stderr)
        return USAGE
    except (OSError, UnicodeDecodeError) as reason:
        print(f"why: {reason}", file=sys.stderr)
        return USAGE
    return told.status


def write(told: story.Story, shown: str, options: argparse.Namespace) -> None:
    """The page and the picture, where they are asked for. shown: the page's view."""
    of = (options.log or options.image).name
    if options.html:
        options.html.write_text(page.html(told, of, shown), encoding="utf-8")
    if options.svg:
        options.svg.write_text(page.svg(told, of, text(told).splitlines()), encoding="utf-8")


def from_log(options: argparse.Namespace) -> story.Story:
    """The story of a log."""
    content = options.log.read_text(errors="replace")
    found = log.read(content)
    if not found.events and "CPU Reset" not in content and not found.fatal:
        raise image.Unusable(f"{options.log} is no log of QEMU's: make one with qemu-system-i386 -accel tcg -d int,cpu_reset -D "
                             "FILE")
    told = story.tell(story.Scene(found, None, 0, symbols(options)))
    if told.status != 0:
        told.unknown.append("what lies in memory, tables and code: a log shows registers only; give the image, and they are "
                            "read, too")
    return told


def symbols(options: argparse.Namespace) -> source.Symbols:
    """Of --elf, checked."""
    if options.elf:
        image.check_elf(options.elf)
    return source.Symbols(options.elf, options.base)


def from_image(options: argparse.Namespace) -> tuple[story.Story, str]:
    """Runs the image, and tells its story while the machine stands. And the view for its page."""
    found = image.recognise(options.image)
    if found.kind == "multiboot ELF" and not options.elf:
        options.elf = options.image
    wanted = settings.Options(options.seconds, options.until, options.keys, options.machine, options.memory, options.cpu,
                              options.crossings,
                              shlex.split(options.qemu))
    with run.Run(found, wanted) as machine:
        machine.until_clear()
        seen, alive = machine.read_log(), machine.ended != "QEMU ended"
        if not alive and not seen.fatal:
            raise image.Unusable(f"QEMU ends: {machine.errors.strip()[-300:]}")
        physical, state = (machine.physical, machine.state()) if alive else (None, None)
        if machine.gave_up():
            raise image.Unusable(f"{found.path} does not boot: the BIOS finds nothing on it to start")
        known, note, lost = symbols(options), "", False
        if options.elf and state:
            known, note = fitting(options, known, Machine(state, physical, options.memory << 20))
            lost = found.kind == "multiboot ELF" and known.elf is None and options.elf == options.image
        if lost:    # it was there: QEMU's loader has put it there
            known, note = symbols(options), f"the code of {options.elf.name} is not in memory any more: it has been overwritten"
        told = story.tell(story.Scene(seen, physical, options.memory << 20, known, machine.ended, state, options.seconds))
        told.astray |= lost and told.cause is None
    told, shown = with_witness(told, seen, found, wanted, options, known)
    told.notes += [note] if note else []
    if found.kind == "CD" and not told.cause and not options.keys and not (state and state.protected):
        told.notes.append("no kernel runs: if a boot menu waits for a key, --keys $'\\n' types it")
    return told, shown


def fitting(options: argparse.Namespace, known: source.Symbols, machine: Machine) -> tuple[source.Symbols, str]:
    """The ELF's symbols for where its code lies; none if it lies nowhere. And what is to be said about that."""
    try:
        base, note = elf.base(options.elf, options.base, machine)
    except elf.Unfit as reason:
        return source.Symbols(None), str(reason)
    return known if base == options.base else source.Symbols(options.elf, base), note


def with_witness(told: story.Story, seen: log.Log, found: image.Image, wanted: settings.Options, options: argparse.Namespace,
                 known: source.Symbols) -> tuple[story.Story, str]:
    """The same story, or a better one, if Bochs is asked for or needed. Where it cannot be had, that is said. And the view
    for the page, which needs Bochs as well, but does not change the story."""
    asked = options.witness or options.who or witness.needed(seen, told)
    if options.no_witness or not asked and not (options.html and told.status and not told.unmodelled):
        reason = told.happened if told.status else view.NOTHING_REFUSED
        return told, view.instead(view.NOT_ASKED if options.no_witness else reason)
    try:
        testimony = witness.call(found, wanted, known, options.who)
    except (image.Unusable, TimeoutError) as reason:
        told.witness = [f"none: {reason}"] if asked else []
        return told, view.instead(str(reason))
    shown = crossing(testimony, found, wanted, known) if options.html else ""
    if not asked:
        return told, shown
    joined = witness.join(told, testimony)
    joined.witness += ["Bochs knows nothing of --keys, --machine and --qemu"] if options.keys or options.qemu else []
    return joined, shown


def crossing(testimony: witness.Testimony, found: image.Image, wanted: settings.Options, known: source.Symbols) -> str:
    """The view of what the witness has seen; a sentence if there is none."""
    if not testimony.ticks:
        return view.instead(view.NOT_SEEN)
    try:
        return view.of(found, wanted, known, testimony.ticks)
    except image.Unusable as reason:
        return view.instead(str(reason))


# ---- one screen

def wrapped(head: str, body: str) -> str:
    """A paragraph with its heading."""
    return textwrap.fill(body, WIDTH, initial_indent=f"{head:13}", subsequent_indent=" " * 13, break_long_words=False)


def text(told: story.Story) -> str:
    """The story, in the order in which it is asked."""
    lines = [wrapped("what", told.happened)]
    if told.where:
        lines.append(wrapped("where", told.where + (f": {told.instruction}" if told.instruction else "")))
    if told.cause:
        lines.append(wrapped("first cause", told.cause_line))
        lines.append(wrapped("  so Intel", f"{words.named(told.cause.vector, told.cause.error)}, SDM {told.cause.place}"))
        lines += [wrapped("  bytes" if not number else "", line) for number, line in enumerate(told.cause.bytes[:5])]
    lines += [wrapped("chain" if not number else "", line) for number, line in enumerate(told.chain)]
    lines += [wrapped("witness" if not number else "", line) for number, line in enumerate(told.witness)]
    if told.who:
        lines.append(wrapped("who", told.who))
    if told.cause and told.cause.fix:
        lines.append(wrapped("usual fix", told.cause.fix))
    lines += [wrapped("note", line) for line in told.notes] + [wrapped("not known", line) for line in told.unknown]
    return "\n".join(lines)
