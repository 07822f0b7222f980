"""The one command of this package."""

import importlib
import os
import subprocess
import sys

from ringside.emulators.machines import ROOT, VERSION

COMMANDS = {
    "record": ("recorder.command", "what the CPU does, step by step, as a recording"),
    "judge": ("judge.check_crossings", "hold recordings against Intel's rules, and Bochs against QEMU"),
    "why": ("why.why", "why a kernel died: any image, or a log of QEMU's"),
    "laws": ("laws.command", "what a kernel owes its procs: any recording, any image"),
    "attack": ("attacks.command", "whatever ring 3 may try, in both emulators"),
    "isolation": ("attacks.isolation", "every page of PAGED's ring 3, read and written in both emulators"),
    "soak": ("soak.soak", "both emulators at full speed, with mistakes"),
    "soak-timer": ("soak.timer", "a million interruptions of procs that watch their registers"),
    "bench": ("costs.bench", "what a switch and a boot cost"),
    "fncall": ("costs.fncall", "what a switch without rings costs"),
    "tour": ("pages.tour", "four looks at a ring transition, and the way out"),
    "mistakes": ("pages.mistakes", "six famous mistakes, and what ring 0 says to them"),
    "docs": ("pages.docs", "fill the pages in docs/ from sources and runs"),
    "book": ("pages.book", "make a site of the book"),
    "paper": ("pages.paper", "slides, a cheat sheet and a handout as PDF"),
    "words": ("pages.chapters", "the book's chapters: words, sentences, minutes, and what is wrong with them"),
    "pictures": ("pictures.command", "draw the crossings of a round trip"),
    "rooms": ("pictures.rooms", "draw how the rooms of the project hang together"),
    "web": ("web.site", "make the page: recordings to step through, and the floppy live"),
    "view": ("web.embed", "a recording as a page of its own, to step through"),
    "release": ("web.release", "what a teacher downloads: floppy, CD, page, sums"),
    "animated": ("web.animated", "draw one int, access by access, as a picture that moves"),
    "engine": ("web.engine", "build the page's processor: Bochs as WebAssembly"),
    "screenshot": ("pages.screenshot", "a picture of the screen"),
    "lab": ("labs.command", "exercises: break it, find it, mend it; and their grader"),
}


USAGE = """usage: scripts/ringside COMMAND [ARGUMENT ...]

All that looks at a run from outside, of the floppy or of another kernel:

{commands}

scripts/ringside COMMAND --help says what a command takes; --version, which Ringpong this is.""".format(
    commands="\n".join(f"  {name:11} {what}" for name, (_, what) in COMMANDS.items()))


def main(arguments):
    """Runs one command; its exit status."""
    if arguments == ["--version"]:
        print(f"ringpong {VERSION}")
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        print(f"ringside: no command {name}; there are: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    if not (ROOT / "ringside" / COMMANDS[name][0].partition(".")[0]).is_dir():      # trees.py leaves labs out
        print(f"ringside: this tree is a lab's, and has no {name}: go where you began the lab, and say it there",
              file=sys.stderr)
        return 2
    try:
        return importlib.import_module(f"ringside.{COMMANDS[name][0]}").main(rest)
    except FileNotFoundError as error:
        if "/" in str(error.filename):  # no tool, but a file
            raise
        return subprocess.run(["sh", ROOT / "scripts/need", str(error.filename)]).returncode
    except BrokenPipeError:  # a reader who has seen enough, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
