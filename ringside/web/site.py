"""Makes the page.

usage: scripts/ringside web

build/web/ is a folder for any web server, build/web/ringpong.html the same in one file, which opens from
a disk, too. What is in it: web/ as it is, recordings that are made here, and the engine, if make
engine has built it. The same inputs give the same bytes.
"""

import argparse
import base64
import gzip
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys

from ringside.emulators.machines import BUILD, FLOPPY, ROOT, VERSION
from ringside.web import engine, runs

WEB = ROOT / "web"
OUT = BUILD / "web"
# In the order in which they need each other: in the single file they are one.
MODULES = ("icons", "chinese", "language", "words", "pages", "places", "explain", "expand", "run", "strip", "stacks",
           "registers", "code", "predict", "picture", "ring-view", "library", "floppy", "screen", "machine",
           "stepper", "live", "app")
PICTURES = ("docs/pictures/int-moving.svg", "docs/pictures/round-trip.svg",
            "docs/pictures/2-int-from-a.svg", "docs/pictures/5-iret-to-a.svg")
MOST = {"single": 1 << 20, "folder": 1536 << 10, "data": 200 << 10}     # bytes; the last two gzipped

BIOS = {"bios": ("bochsbios", "BIOS-bochs-latest"), "vgabios": ("vgabios", "VGABIOS-lgpl-latest")}
BOCHS_SHARE = pathlib.Path("/usr/share/bochs")


def squeeze(data: bytes) -> bytes:
    """gzip, without a date."""
    return gzip.compress(data, 9, mtime=0)


def bundle(modules: tuple[str, ...] = MODULES) -> str:
    """Modules as one, for a single file: it has one name for each thing, so imports fall away."""
    parts = []
    names: dict[str, str] = {}
    for module in modules:
        text = (WEB / f"{module}.js").read_text()
        text = re.sub(r"^import [^;]*;\n", "", text, flags=re.M)
        text = re.sub(r"^export \{[^}]*\};\n", "", text, flags=re.M)
        text = re.sub(r"^export (default )?", "", text, flags=re.M)
        found = re.findall(r"^(?:async )?(?:function|class)\*? (\w+)", text, re.M)
        for line in re.findall(r"^(?:const|let) .*", text, re.M):
            found += re.findall(r"(?:^(?:const|let) |, )([A-Za-z_]\w*)(?= = |;|$)", line.split("=>")[0])
        for name in found:
            if name in names:
                raise SystemExit(f"web: {module}.js and {names[name]}.js both have a {name}: in the single file it would be one")
            names[name] = module
        text = re.sub(r"^\s*/\*\*.*?\*/\n", "", text, flags=re.M | re.S)
        parts.append(re.sub(r"^\s*(//.*\n)?", "", text, flags=re.M))
    return "".join(parts)


def _tour() -> str:
    """What make tour prints."""
    made = subprocess.run([sys.executable, str(ROOT / "scripts/ringside"), "tour"], capture_output=True, text=True, check=True,
                          env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TERM": "dumb", "LC_ALL": "C.UTF-8"})
    escaped = made.stdout.replace("&", "&amp;").replace("<", "&lt;")
    return f"<pre>{escaped}</pre>"


def _kept_tour() -> str:
    """The same; made again only if the guest or what prints it has changed."""
    whole = hashlib.sha256(FLOPPY.read_bytes() + (ROOT / "ringside/pages/tour.py").read_bytes()).hexdigest()
    kept = runs.ROOM / "tour.html"
    stamp = runs.ROOM / "tour.stamp"
    if not (kept.exists() and stamp.exists() and stamp.read_text() == whole):
        kept.write_text(_tour())
        stamp.write_text(whole)
    return kept.read_text()


def _svg(path: str) -> str:
    """A picture, to stand inside the page."""
    return re.sub(r"^<\?xml[^>]*>\s*", "", (ROOT / path).read_text())


def _engine_files() -> dict[str, bytes]:
    """What the live part needs; empty if it cannot be had."""
    if not all((engine.ENGINE / name).exists() for name in engine.PRODUCTS):
        return {}
    files = {name: (engine.ENGINE / name).read_bytes() for name in ("bochs.js", "bochs.wasm")}
    for name, (package, file) in BIOS.items():
        path = BOCHS_SHARE / file
        if not path.exists():
            print(f"web: {path} is missing, apt-get install {package}: the page is made without its live part", file=sys.stderr)
            return {}
        files[name] = path.read_bytes()
    files["floppy.img"] = FLOPPY.read_bytes()
    return files


# For a browser that knows no modules.
OLD = 'document.querySelector(".old").hidden = false;'

LICENCES = """What is in this folder, and whose it is

Ringpong {version}: the page, its recordings and the floppy. MIT, see LICENSE.

bochs.js, bochs.wasm: Bochs 3.0, compiled with Debian's emscripten from Debian's source package
"bochs" ({tarball}, SHA-256 {digest}), with the changes that
ringside/web/engine.py of Ringpong lists and web/engine/ adds. GNU LGPL 2.1 or later, see COPYING.
The source: apt-get source bochs, in Debian 13, and Ringpong's own.

bios: {bios} of Debian's package bochsbios. GNU LGPL 2.1 or later, see COPYING.
vgabios: {vgabios} of Debian's package vgabios. GNU LGPL 2.1 or later, see COPYING.
"""


def _licences(live: bool) -> dict[str, bytes]:
    files = {"LICENSE": (ROOT / "LICENSE").read_bytes()}
    if live:
        files["COPYING"] = (engine.ENGINE / "COPYING").read_bytes()
        text = LICENCES.format(version=VERSION, tarball=engine.TARBALL, digest=engine.TARBALL_SHA256,
                               bios=BIOS["bios"][1], vgabios=BIOS["vgabios"][1])
        files["LICENCES.txt"] = text.encode()
    return files


def inside(name: str, content: bytes) -> str:
    """A file that stands inside the page, for web/library.js: no digit of it can begin a tag."""
    digits = base64.b85encode(squeeze(content)).decode().replace("<", ",")
    return f'<script type="text/plain" data-file="{name}">{digits}</script>\n'


def _page(**parts: str) -> str:
    text = (WEB / "page.html").read_text()
    for name, value in parts.items():
        text = text.replace(f"@{name}@", value)
    return text


def inline(text: str) -> str:
    """A script's text between its tags."""
    return text.replace("</script", "<\\/script")


def allowed(text: str) -> str:
    """What a Content-Security-Policy says of an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def build() -> dict[str, int]:
    """Fills build/web/; what it weighs."""
    made = runs.make()
    data = runs.library(made)
    packed = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    live = _engine_files()
    if not live:
        print("\nweb: WITHOUT ITS LIVE PART: there is no engine. make engine builds it, where Debian's emscripten and the "
              "source of Bochs can be had.\n", file=sys.stderr)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)

    book = (BUILD / "book/index.html").exists()
    first = next(run for run in made if run["name"] == "p_proc")
    common = {"OLD": OLD, "INT": str(first["open"]), "LEARN": "book/index.html" if book else "#learn",
              "LABS": '<a href="labs.html" lang="en">Labs</a>',
              "TOUR": _kept_tour(), "PICTURE": _svg("docs/pictures/int-moving.svg"),
              "PICTURES": "".join(f'<img src="{pathlib.Path(name).name}" alt="">' for name in PICTURES)}
    files: dict[str, bytes] = {"data.json": packed, **live, **_licences(bool(live))}
    for module in MODULES:
        files[f"{module}.js"] = (WEB / f"{module}.js").read_bytes()
    for picture in PICTURES:
        files[pathlib.Path(picture).name] = (ROOT / picture).read_bytes()
    style = (WEB / "style.css").read_text()
    files["style.css"] = style.encode()
    policy = ("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{script}; style-src 'self' 'unsafe-inline'; "
              "img-src 'self' data: blob:; connect-src {connect}; base-uri 'none'; form-action 'none'")
    files["index.html"] = _page(
        CSP=policy.format(script=f" {allowed(OLD)}", connect="'self'"), STYLE='<link rel="stylesheet" href="style.css">',
        SCRIPT='<script type="module" src="app.js"></script>', **common).encode()
    for name, content in files.items():
        (OUT / name).write_bytes(content)

    script = bundle()
    embedded = {name: content for name, content in files.items() if name == "data.json" or name in live}
    scripts = "".join(inside(name, content) for name, content in embedded.items())
    inlined = inline(script)
    tags = f'{scripts}<script type="module">{inlined}</script>'
    hashed = f" {allowed(inlined)} {allowed(OLD)} blob:"      # blob: the engine's script, which the page unpacks
    common["LABS"] = ""         # they lie beside it (ringside/labs/page.py)
    common["PICTURES"] = ""     # the page is one file, and has one picture already
    single = _page(CSP=policy.format(script=hashed, connect="'none'"), STYLE=f"<style>{style}</style>", SCRIPT=tags, **common)
    (OUT / "ringpong.html").write_text(single)
    weights = {"single": len(single.encode()), "data": len(squeeze(packed)),
               "folder": sum(len(squeeze(content)) for content in files.values())}
    for name, weight in weights.items():
        if weight > MOST[name]:
            raise SystemExit(f"web: {name}: {weight} bytes, and {MOST[name]} are allowed")
    return weights


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--help", "-h", action="store_true")
    if parser.parse_args(arguments).help:
        print(__doc__)
        return 0
    weights = build()
    print(f"web: build/web/index.html for a web server ({weights['folder'] >> 10} KiB gzipped, recordings "
          f"{weights['data'] >> 10}), build/web/ringpong.html in one file ({weights['single'] >> 10} KiB)")
    return 0
