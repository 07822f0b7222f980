"""What the build makes: the same bytes everywhere, and everything where it may be."""

import os
import re
import shutil
import subprocess

from ringside.emulators import machines
import pytest
from ringside.emulators.machines import BUILD, ROOT
from trees import copy_sources

PAGE = 0x1000
KIB = 1024

GCC, CLANG, CROSS = ["CC=gcc"], ["CC=clang"], ["CROSS=i686-linux-gnu-"]


def build(tree, arguments, umask=0o022, **environment):
    """A copy of the sources, built there. What make and its tools had to say, and the image."""
    tool = "i686-linux-gnu-gcc" if arguments == CROSS else arguments[0].partition("=")[2]
    if not shutil.which(tool):
        pytest.skip(f"no {tool} here")
    copy_sources(tree)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    run = subprocess.run(["make", "-s", *arguments], cwd=tree, umask=umask, env={**clean, **environment},
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert run.returncode == 0, run.stdout
    return run.stdout, tree / "build" / machines.FLOPPY.name


# ---- compilers

@pytest.mark.long
def test_the_floppy_is_the_same_wherever_and_by_whomever_it_is_built(tmp_path):
    _, here = build(tmp_path / "here", GCC, TZ="Asia/Tokyo", LC_ALL="C")
    _, there = build(tmp_path / "in another place", GCC, 0o077, TZ="America/New_York", LC_ALL="C.UTF-8",
                     LANG="de_DE.UTF-8", SOURCE_DATE_EPOCH="1")
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.long
def test_a_cross_compiler_makes_the_same_floppy(tmp_path):
    _, native = build(tmp_path / "native", GCC)
    said, cross = build(tmp_path / "cross", CROSS)
    assert said == ""
    assert native.read_bytes() == cross.read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=["gcc", "clang"])
def test_a_compiler_has_no_remarks_and_its_floppy_plays(tmp_path, compiler):
    said, image = build(tmp_path / "tree", compiler)
    assert said == ""
    with machines.Qemu(image) as pc:
        pc.wait_log("n=1 ")
        pc.key("f")
        pc.wait_log("n=65536 ")


# ---- what else lies in build/

def test_make_reads_no_file_of_the_tests(tmp_path):
    """A test makes links to all tools, and invoke-rc.d is such a tool."""
    copy_sources(tmp_path / "tree")
    other = tmp_path / "tree/build/pytest/tools"
    other.mkdir(parents=True)
    (other / "invoke-rc.d").write_text("#!/bin/sh\nset -e\n")
    run = subprocess.run(["make", "help"], cwd=tmp_path / "tree", capture_output=True, text=True, timeout=30)
    assert run.returncode == 0 and "make help" in run.stdout, run.stderr


# ---- sizes

def test_the_boot_sectors_have_the_room_that_they_say():
    sectors = (BUILD / "boot.bin").read_bytes()
    names = machines.symbols(BUILD / "boot.elf")
    assert len(sectors) == 1024 and sectors[510:512] == b"\x55\xaa"
    # Each ends with a word that mkfloppy fills in.
    for room, end in ("boot_room", names["file"] - 0x7c00), ("second_room", 1024):
        assert 0 <= names[room] < 512
        assert sectors[end - 2 - names[room]:end] == bytes(names[room] + 2)


def test_the_program_fits_into_60_kib():
    assert (BUILD / "p_proc.com").stat().st_size <= 60 * KIB


# ---- what is written keeps away from code: QEMU is 13 to 24 times slower otherwise

def sections(elf):
    """name: (start, end, flags)"""
    listing = subprocess.run(["readelf", "-SW", elf], check=True, capture_output=True, text=True).stdout
    row = r"\] (\.\w\S*) +\w+ +(\w{8}) \w{6} (\w{6}) \w\w +(\w*) "
    return {name: (int(start, 16), int(start, 16) + int(size, 16), flags)
            for name, start, size, flags in re.findall(row, listing) if "A" in flags}


def test_nothing_that_is_written_lies_within_a_page_of_code():
    found = sections(machines.PROGRAM)
    code_end = max(end for _, end, flags in found.values() if "X" in flags)
    written = [start for start, _, flags in found.values() if "W" in flags]
    assert all(set(flags) in ({"A", "X"}, {"A", "W"}) for *_, flags in found.values())
    assert min(written) >= code_end + PAGE, "the program may be loaded at any multiple of 16"


@pytest.mark.parametrize("name", [
    "gdt", "idt", "tss", "proc_a", "proc_b", "proc_a_data", "proc_b_data",
    "ring0_stack_end", "fault_stack_end", "switches_left"])
def test_what_a_switch_writes_is_dword_aligned_and_in_a_written_section(name):
    place = machines.sym(name)
    assert place % 4 == 0
    assert any(start <= place <= end for start, end, flags in sections(machines.PROGRAM).values()
               if "W" in flags)


# ---- tests/breakages

def test_every_breakage_still_fits_the_sources():
    run = subprocess.run(machines.by_name([ROOT / "tests/breakages/run", "--check"]), capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
