"""Builds the page's processor: Bochs, compiled to WebAssembly.

usage: scripts/ringside engine [--minutes N]

Fetches Bochs' source package with apt, from the mirror that this machine's apt has, changes
what EDITS says, adds web/engine/, and compiles it with Debian's emscripten. What comes of it lies
in build/engine/: bochs.js, bochs.wasm, and the licence. It is built again only if one of
these has changed.

--minutes ends a build that takes longer (exit code 75: the page can do without).
"""

import argparse
from collections.abc import Iterable
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from ringside.emulators.machines import BUILD, ROOT

OURS = ROOT / "web/engine"
ENGINE = BUILD / "engine"
LAST = ("instrument.cc",)    # of ours: nothing else has to be compiled when it changes
PRODUCTS = ("bochs.js", "bochs.wasm", "COPYING")
CANNOT = 75     # as sysexits.h has it: may be better another time

# The source package, in the one release of Debian that has it.
SUITE, PACKAGE = "trixie", "bochs"
TARBALL = "bochs_3.0+dfsg.orig.tar.xz"
TARBALL_SHA256 = "78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b"
UNPACKED = "bochs-3.0"

# (file, what stands there exactly once, what stands there instead, why)
EDITS = (
    ("bochs.h",
     "#  define BX_DBG_LIN_MEMORY_ACCESS(cpu, lin, phy, len, memtype, rw, data)       /* empty */\n",
     "#  define BX_DBG_LIN_MEMORY_ACCESS(cpu, lin, phy, len, memtype, rw, data) \\\n"
     "   if (rp_telling) rp_linear(lin, len, rw, data);\n",
     "the debugger's macro has the data of an access, the documented callback has not"),
    ("bochs.h",
     "#  define BX_DBG_PHY_MEMORY_ACCESS(cpu,      phy, len, memtype, rw, attr, data) /* empty */\n",
     "#  define BX_DBG_PHY_MEMORY_ACCESS(cpu,      phy, len, memtype, rw, attr, data) \\\n"
     "   if (rp_telling) rp_physical(phy, len, rw, attr, data);\n",
     "likewise, for a write back to what was read, and for entries of page tables"),
    ("cpu/cpu.cc",
     "  // We get here either by a normal function call, or by a longjmp\n"
     "  // back from an exception() call.  In either case, commit the\n"
     "  // new EIP/ESP, and set up other environmental fields.  This code\n"
     "  // mirrors similar code below, after the interrupt() call.\n"
     "  BX_CPU_THIS_PTR prev_rip = RIP; // commit new EIP\n"
     "  BX_CPU_THIS_PTR speculative_rsp = false;\n\n"
     "#if BX_SUPPORT_CET && BX_SUPPORT_VMX\n",
     "  rp_loop();\n}\n\n"
     "void __attribute__((noinline)) BX_CPU_C::rp_loop(void)\n{\n"
     "  BX_CPU_THIS_PTR prev_rip = RIP;\n"
     "  BX_CPU_THIS_PTR speculative_rsp = false;\n\n"
     "#if BX_SUPPORT_CET && BX_SUPPORT_VMX\n",
     "setjmp makes every call in its function go through JavaScript; so the loop gets one of its own"),
    ("cpu/cpu.h",
     "  BX_SMF void cpu_loop(void);\n",
     "  BX_SMF void cpu_loop(void);\n  BX_SMF void rp_loop(void);\n",
     "declares it"),
    ("main.cc",
     "        while (1) {\n"
     "          BX_CPU(0)->cpu_loop();\n"
     "          if (bx_pc_system.kill_bochs_request)\n"
     "            break;\n"
     "        }\n",
     "        emscripten_exit_with_live_runtime();\n",
     "the page runs the loop, a slice at a time"),
    ("config.cc",
     "  mintime=mktime(&mtim); //Find which epoch corresponds to the upper limit expressed in local time\n"
     "  maxtime=mktime(&xtim); //Find which epoch corresponds to the lower limit expressed in local time\n",
     "  mintime = 0;\n  maxtime = 0x7fffffff;\n",
     "time_t has 32 bits here, in which neither bound fits"),
    ("gui/keymap.cc", '#include "keymap.h"\n', '#include "keymap.h"\n#include <libgen.h>\n', "declares basename"),
    ("Makefile.in",
     "\t@LINK@ @EXPORT_DYNAMIC@ $(BX_OBJS) $(SIMX86_OBJS) \\\n\t\t@IODEV_LIB_VAR@",
     "\t$(CXX) -o $@ $(CXXFLAGS) $(LDFLAGS) $(BX_OBJS) $(SIMX86_OBJS) \\\n\t\t@IODEV_LIB_VAR@",
     "exports nothing but what the page calls"),
    ("main.cc", '#include "bochs.h"\n', '#include "bochs.h"\n#include <emscripten.h>\n', "declares that"),
)

CONFIGURE = (
    "--host=i686-pc-linux-gnu", "--build=x86_64-pc-linux-gnu",  # nothing that it compiles can be executed here
    "--with-nogui", "--enable-instrumentation=instrument/ringpong", "--enable-cpu-level=6",
    "--disable-x86-64", "--disable-plugins", "--disable-debugger", "--disable-repeat-speedups",
    "--disable-handlers-chaining", "--disable-show-ips", "--disable-logging", "--disable-stats", "--disable-cdrom",
    "--disable-usb", "--disable-docbook", "--disable-xpm", "--disable-avx", "--disable-vmx", "--disable-svm",
    "--disable-sb16", "--disable-es1370", "--disable-gameport", "--disable-ne2000", "--disable-e1000",
    "--disable-clgd54xx", "--disable-voodoo", "--disable-large-ramfile", "--disable-shared",
)
COMPILE = "-O2 -fno-exceptions -fno-rtti"
QUICK = "-O0"   # for configure, which links a hundred small programs
LINK = (
    "-O2", "-sMODULARIZE=1", "-sEXPORT_NAME=ringpongEngine", "-sENVIRONMENT=web,node", "-sINVOKE_RUN=0",
    "-sEXIT_RUNTIME=0", "-sFORCE_FILESYSTEM=1", "-sALLOW_MEMORY_GROWTH=0", "-sINITIAL_MEMORY=67108864",
    "-sTOTAL_STACK=1048576", "-sDYNAMIC_EXECUTION=0", "-sEXPORTED_RUNTIME_METHODS=FS,callMain",
    "-sEXPORTED_FUNCTIONS=_main,_malloc", "-sNODEJS_CATCH_EXIT=0", "-sNODEJS_CATCH_REJECTION=0",
)


class CannotBuild(Exception):
    """Why, and what would help."""


def mirror() -> str:
    """Where this machine's apt has Debian from; a mirror's address is no part of the project."""
    if "MIRROR" in os.environ:
        return os.environ["MIRROR"]
    apt = pathlib.Path("/etc/apt")
    files = [apt / "sources.list", *sorted(apt.glob("sources.list.d/*.list")), *sorted(apt.glob("sources.list.d/*.sources"))]
    for file in files:
        if not file.exists():
            continue
        for line in file.read_text().splitlines():
            if match := re.match(r"(?:deb |URIs:)(?:.* )?([a-z]+://\S*/debian)/*(?: .*)?$", line.partition("#")[0].rstrip()):
                return match[1]
    raise CannotBuild("apt's sources name no mirror of Debian's: say MIRROR=http://... in the environment")


def digest(files: Iterable[str] = ()) -> str:
    """Of all that the engine comes from; without some files, of what it takes long to compile."""
    version = subprocess.run(["emcc", "--version"], capture_output=True, text=True).stdout.partition("\n")[0]
    whole = hashlib.sha256(repr((TARBALL_SHA256, EDITS, CONFIGURE, COMPILE, version)).encode())
    for file in sorted(OURS.iterdir()):
        if file.name not in files:
            whole.update(file.read_bytes())
    whole.update(repr(() if files else LINK).encode())
    return whole.hexdigest()


def is_built() -> bool:
    stamp = ENGINE / "stamp"
    return stamp.exists() and all((ENGINE / name).exists() for name in PRODUCTS) and \
        (not shutil.which("emcc") or stamp.read_text() == digest())


def fetch() -> pathlib.Path:
    """The source package, by apt's own means, with lists of our own."""
    tarball = ENGINE / "source" / TARBALL
    if not (tarball.exists() and hashlib.sha256(tarball.read_bytes()).hexdigest() == TARBALL_SHA256):
        apt = ENGINE / "apt"
        for folder in ("sources", "lists/partial", "cache/archives/partial"):
            (apt / folder).mkdir(parents=True, exist_ok=True)
        keys = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
        (apt / "sources/source.sources").write_text(
            f"Types: deb-src\nURIs: {mirror()}\nSuites: {SUITE}\nComponents: main\n"
            + (f"Signed-By: {keys}\n" if keys.exists() else ""))
        options = [f"-oDir::Etc::SourceList={os.devnull}", f"-oDir::Etc::SourceParts={apt}/sources",
                   f"-oDir::State::Lists={apt}/lists", f"-oDir::Cache={apt}/cache", "-oAPT::Sandbox::User="]
        tarball.parent.mkdir(parents=True, exist_ok=True)
        with open(ENGINE / "fetch.log", "w") as log:
            for command in (["update"], ["source", "--download-only", PACKAGE]):
                # Its exit code says nothing: a mirror may lack the package's description, and still have
                # the tarball, whose checksum apt and we know.
                subprocess.run(["apt-get", "-q", *options, *command], cwd=tarball.parent, stdout=log, stderr=log)
        shutil.rmtree(apt / "lists")
    if not tarball.exists():
        raise CannotBuild(f"apt has not fetched {TARBALL}, see build/engine/fetch.log. Is there a network, and is "
                          f"{SUITE} on the mirror?")
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != TARBALL_SHA256:
        raise CannotBuild(f"{tarball} is another source than the one that EDITS in ringside/web/engine.py fit: "
                          f"remove it, or adapt EDITS and TARBALL_SHA256")
    return tarball


def edit(source: pathlib.Path) -> None:
    for name, old, new, why in EDITS:
        text = (source / name).read_bytes().decode("latin-1")
        if text.count(old) != 1:
            raise CannotBuild(f"{name}: what is to be changed stands there {text.count(old)} times ({why}): "
                              f"this is another source, adapt EDITS in ringside/web/engine.py")
        (source / name).write_bytes(text.replace(old, new).encode("latin-1"))
    room = source / "instrument/ringpong"
    room.mkdir()
    shutil.copy(source / "instrument/stubs/Makefile.in", room)
    for file in OURS.iterdir():
        shutil.copy(file, room)


def build(deadline: float) -> None:
    if not shutil.which("emcc"):
        raise CannotBuild("emcc is missing: apt-get install emscripten, or sh scripts/setup --web")
    source, configured = ENGINE / UNPACKED, ENGINE / "configured"
    if configured.exists() and configured.read_text() == digest(LAST) and source.exists():
        for name in LAST:
            shutil.copy(OURS / name, source / "instrument/ringpong")
        (source / "bochs").unlink(missing_ok=True)
    else:
        configured.unlink(missing_ok=True)
        shutil.rmtree(source, ignore_errors=True)
        subprocess.run(["tar", "-xf", fetch(), "-C", ENGINE], check=True)
        edit(source)
    # Debian's emscripten finds its own JavaScript modules only with Debian's Node.
    environment = {**os.environ, "NODE_PATH": "/usr/share/nodejs", "CC": "emcc", "CXX": "em++", "AR": "emar",
                   "RANLIB": "emranlib", "CFLAGS": QUICK, "CXXFLAGS": QUICK, "LC_ALL": "C.UTF-8"}
    jobs = str(min(os.cpu_count() or 1, 8))
    with open(ENGINE / "build.log", "w") as log:
        for what, command in (
                *([] if configured.exists() else [("configure", ["./configure", *CONFIGURE])]),
                ("make", ["make", "-j", jobs, "bochs", f"LDFLAGS={' '.join(LINK)}", "LIBS="])):
            print(f"engine: {what}", flush=True)
            # emcc puts these behind its arguments, and of two -O the last one counts.
            flags = {"EMCC_CFLAGS": COMPILE} if what == "make" else {}
            made = subprocess.Popen(command, cwd=source, env={**environment, **flags}, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, start_new_session=True)
            try:
                code = made.wait(max(1, deadline - time.monotonic()))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                os.killpg(made.pid, signal.SIGKILL)
                made.wait()
                raise CannotBuild(f"{what} has not ended in time") from None
            if code:
                raise CannotBuild(f"{what} fails, see build/engine/build.log")
            configured.write_text(digest(LAST))
    # Without an ending the linker has written JavaScript to "bochs", and the rest beside it.
    shutil.copy(source / "bochs", ENGINE / "bochs.js")
    shutil.copy(source / "bochs.wasm", ENGINE / "bochs.wasm")
    shutil.copy(source / "COPYING", ENGINE / "COPYING")
    (ENGINE / "stamp").write_text(digest())


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args(arguments)
    if options.help:
        print(__doc__)
        return 0
    if is_built():
        print("engine: build/engine/ is up to date")
        return 0
    ENGINE.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        build(began + 60 * options.minutes)
    except CannotBuild as why:
        print(f"engine: {why}", file=sys.stderr)
        return CANNOT
    print(f"engine: built in {(time.monotonic() - began) / 60:.1f} minutes")
    return 0
