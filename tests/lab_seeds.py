"""lab_seeds - trees that are right lose no point, whatever a student's numbers are

usage: make test-lab-seeds SEEDS=100    SEEDS: how many students' numbers, of every program that labs mend (100)

One grade of each program and student, with all laws: they are the same for all labs of a program. As root. What
has been graded of these sources is kept in build/labs/seeds, so that a run that was stopped goes on. Exit status: 1 if
a point was lost.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import sys
import tempfile

from ringside.emulators.machines import BUILD
from ringside.labs import catalogue, grade, handin, trees
from ringside.laws import probe

KEPT = BUILD / "labs/seeds"
SEEDS = 100
OF_A_LAB = {"C1", "B1"}     # what a lab allows, or asks for


def labs():
    """{program: a lab of it, which asks for every law}."""
    found = {}
    for lab in catalogue.all_labs():
        if lab.files and lab.breaks and not lab.attack and lab.kind == "find" and lab.procs == 2 and lab.program not in found:
            points = {law: 1 for law in [*probe.LAWS, grade.REST] if law not in OF_A_LAB}
            found[lab.program] = lab._replace(points=points, questions=(), instructions=0)
    return found


def graded(lab, seed):
    """What is lost, in sentences: [] if nothing is."""
    tree = trees.whole(seed)
    with tempfile.TemporaryDirectory(prefix="rp-labs-", dir=handin.FOLDERS) as name:
        folder = pathlib.Path(name)
        trees.write({file: tree[file] for file in lab.files}, folder)
        result = grade.grade(lab, folder, seed)
    lost = [said for part in result.parts if part.got < part.points for said in part.said or (part.name,)]
    return [result.refused, *lost] if result.refused else lost


def main(arguments):
    count = int(arguments[0]) if arguments else SEEDS
    KEPT.mkdir(parents=True, exist_ok=True)
    state = hashlib.sha256(repr(sorted(trees.whole(0).items())).encode()).hexdigest()[:16]

    def grade_once(program, lab, seed):
        path = KEPT / f"{state}-{program}-{seed}.json"
        if not path.exists():
            new = path.with_suffix(".new")
            new.write_text(json.dumps(graded(lab, seed)))
            new.replace(path)
        return program, seed, json.loads(path.read_text())

    lost = 0
    told = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        grades = [pool.submit(grade_once, program, lab, seed)
                  for seed in range(1, count + 1) for program, lab in labs().items()]
        for done in grades:
            program, seed, found = done.result()
            told[program] = told.get(program, 0) + 1
            if found:
                lost += 1
                print(f"{program}, seed {seed}: {'; '.join(found)}", flush=True)
    print(", ".join(f"{program} {number}" for program, number in told.items()) + f": {lost} of them lost a point")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
