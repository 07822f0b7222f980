"""Hand-ins for the graders' tests: a lab's tree as it is, with one file other, or with an exploit that works."""

import datetime
import functools
import hashlib
import os
import random
import sys

import pytest

from ringside.labs import catalogue, grade, handin, patches, trees
from ringside.labs.variants import number_of
from ringside.laws import beginning

LABS = catalogue.all_labs()
BY_NUMBER = {lab.number: lab for lab in LABS}
# All with make test-labs, and where a test is named, as by breakages.
ALL = "ALL_LABS" in os.environ or any("test_lab" in word and "::" in word for word in sys.argv)
DAY = random.Random(datetime.date.today().toordinal())
# Of students' numbers: some each day, or as many as SEEDS says (make test-labs SEEDS=100).
SEEDS = range(int(os.environ["SEEDS"])) if os.environ.get("SEEDS") else sorted(DAY.sample(range(100), 3))

builds = pytest.mark.skipif(os.geteuid() != 0, reason="a hand-in is built by another user, which only root can do")
all_only = pytest.mark.skipif(not ALL, reason="make test-labs")

SEED = 0
PANEL = 10 * 160    # a row of ring 0's panel, as an offset on the screen
A_ROW_BYTES = 160


def _digits(prefix, start, seed):
    """Instructions that write the student's number."""
    return "".join(f"\tmovb\t$'{digit}', {prefix}{start + 2 * place:#x}\n" for place, digit in enumerate(number_of(seed)))


def exploit(number, seed=SEED):
    """Code that does what an attack lab asks for, in the tree of seed 0."""
    code = {"13": "\tmov\t$0x2b, %eax\n\tmov\t%eax, %es\n" + _digits("%es:", PANEL, seed),
            "34": _digits("%gs:", PANEL - A_ROW_BYTES, seed)}
    return "\t.text\n" + code[number] + "1:\tjmp\t1b\n"


def answers(lab, values=None):
    """All right; values: of the questions that ask for one."""
    lines = []
    for number, question in enumerate(lab.questions, 1):
        right = (chr(ord("a") + question.choices.index(question.answer)) if question.choices
                 else f"{values[question.answer]:x}" if values else "")
        lines.append(f"{number}: {right}\n")
    return "".join(lines)


def hand_in(folder, lab, tree, others=(), values=None):
    """A folder with all that the lab takes; others: {file: text} in place of the tree's."""
    folder.mkdir(exist_ok=True)
    for name in lab.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tree[name])
    if lab.questions:
        (folder / catalogue.ANSWERS).write_text(answers(lab, values))
    if lab.attack:
        (folder / lab.attack["file"]).write_text(exploit(lab.number))
    for name, text in dict(others).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@functools.cache
def whole(seed=SEED):
    """The tree that is right, made once."""
    return trees.whole(seed)


def solved(lab, seed=SEED):
    return trees.changed(whole(seed), lab.built())


def wrongly(lab, wrong, seed=SEED):
    """{file: text} of a repair that does not hold: of the tree that is right, or of the broken one."""
    if "patch" in wrong:
        changes = patches.read((lab.folder / f"{wrong['patch']}.patch").read_text())
        return {name: text for name, text in patches.applied(changes, lambda name: solved(lab, seed)[name].decode()).items()}
    tree = trees.broken(lab, seed) if wrong.get("upon") == "broken" else solved(lab, seed)
    text = tree[wrong["file"]].decode()
    assert text.count(wrong["before"]) == 1, wrong["what"]
    return {wrong["file"]: text.replace(wrong["before"], wrong["after"])}


def built(tree, place, program="p_proc"):
    """The floppy of a tree of ours."""
    return handin.build(tree, place / "tree", program, tree)


def sentences(result):
    return "\n".join(result.lines())


# ---- the same work only once

class Workshop:
    """Stands in for what a grade spends its time on: the same tree is built once, and what the same floppy has shown is
    not tried again. What is built, and how, stays the grader's.
    """

    def __init__(self):
        self.images = {}
        self.built, self.probed, self.first = handin.build, grade._probed, beginning.first_of_ring_3
        self.seen = {}
        self.enough = None      # laws that are to be lost, if the others do not matter

    def stands_in(self, monkeypatch):
        monkeypatch.setattr(handin, "build", self.build)
        monkeypatch.setattr(grade, "_probed", self.probe)
        monkeypatch.setattr(beginning, "first_of_ring_3", self.entry)

    def build(self, tree, folder, program="p_proc", own=None):
        key = hashlib.sha256(repr((sorted(tree.items()), program)).encode()).digest()
        if key not in self.images:
            self.images[key] = self.built(tree, folder, program, own).read_bytes()
        image = folder.with_name(f"{folder.name}.img")
        image.write_bytes(self.images[key])
        return image

    def _once(self, key, function):
        if key not in self.seen:
            try:
                self.seen[key] = function(), None
            except Exception as error:
                self.seen[key] = None, error
        value, error = self.seen[key]
        if error:
            raise error
        return value

    def entry(self, image, model=""):
        return self._once(("entry", image.read_bytes()), lambda: self.first(image, model))

    def probe(self, lab, image, seed):
        """Where nothing is found, the laws that a lab asks for do not matter. Nor is QEMU asked, where Bochs says enough."""
        if self.enough is not None:
            lab = lab._replace(points={law: 1 for law in self.enough})
        key = ("probe", image.read_bytes(), seed, repr(lab.promised), lab.procs, lab.instructions, repr(lab.pages))
        if self.seen.get(key) == ([], None):
            return []
        found = self._once((*key, *sorted(lab.points)), lambda: self.probed(lab, image, seed))
        if not found:
            self.seen[key] = [], None
        return found
