"""What a switch costs, design by design: the tables, in Markdown.

    table(speeds), ring_table(speeds)       what is counted and measured on the programs that ship
    clocks_table(speeds), choice_table()    what the counts hide; how to choose
    comparable(page, run)                   two such tables, without what is measured
"""

import statistics

from ringside.costs import choose, clocks, counts, designs

UNKNOWN = "–"
HEAD = "design", "A to B", "B to A", "accesses", "bytes kept", "lines", *designs.EMULATORS
RING_HEAD = "procs", "shortest", "longest", *designs.EMULATORS


def markdown(head, rows):
    """A table that can be read as it is, too."""
    widths = [max(len(str(row[column])) for row in (head, *rows)) for column in range(len(head))]
    lines = ["| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]) + "\n"


def comparable(page, run):
    """Two tables without what is measured, and is never the same twice; and without rows that the run has not got."""
    counted = slice(1, -len(designs.EMULATORS) - 1)
    tables = [[[cell.strip(" -") for cell in line.split("|")[counted]] for line in text.strip().splitlines()]
              for text in (page, run)]
    lacking = {row[0] for row in tables[1] if set(row[1:]) == {UNKNOWN}}
    return ["\n".join(" | ".join(row) for row in table if row[0] not in lacking) for table in tables]


def spread(speed):
    return f"{statistics.median(speed.ratios):.2f} ({min(speed.ratios):.2f} to {max(speed.ratios):.2f})"


def speed_cell(design, emulator, speeds):
    if not speeds:
        return ""
    if design is designs.FNCALL:
        if not speeds.linux or emulator != "QEMU":
            return UNKNOWN
        return f"{statistics.median(speeds.linux):.1f} ({min(speeds.linux):.1f} to {max(speeds.linux):.1f}) calls"
    found = speeds.designs.get(emulator, {}).get(design.name)
    if not found:
        return UNKNOWN
    if not design.leaves:
        return "by its clock"
    return f"1: {found.rate / 1e6:.2f} million/s" if design is designs.P_PROC else spread(found)


def table(speeds=None):
    """(the table, what is missing: lines)"""
    here, lacking = designs.tools()
    rows, missing = [], list(lacking.values())
    if "Bochs" in lacking and here:
        missing.append("Without Bochs nothing counts memory accesses; instructions are counted in QEMU.")
    for design in designs.DESIGNS:
        try:
            if not here and design is not designs.FNCALL:
                raise designs.Lacking("no emulator")
            found = counts.counted(design, here[-1] if here else None)
        except designs.Lacking as reason:
            missing.append(f"{design.name}: {reason}")
            rows.append([design.name] + [UNKNOWN] * (len(HEAD) - 1))
            continue
        both = [UNKNOWN if count is None else str(count) for count in found.accesses.values()]
        rows.append([design.name, len(found.steps["A"]), len(found.steps["B"]),
                     both[0] if both[0] == both[1] else " and ".join(both), found.state,
                     designs.source_lines(design.sources),
                     *(speed_cell(design, emulator, speeds) for emulator in designs.EMULATORS)])
    return markdown(HEAD, rows), missing


def ring_table(speeds=None):
    """(the table, what is missing: lines)"""
    here, _ = designs.tools()
    rows, missing = [], []
    for procs in counts.RINGS:
        taken = [UNKNOWN]
        try:
            if "Bochs" not in here:
                raise designs.Lacking("counted in Bochs alone")
            taken = counts.ring(procs)
        except designs.Lacking as reason:
            missing.append(f"{procs} procs: {reason}")
        cells = []
        for emulator in designs.EMULATORS:
            found = speeds and speeds.rings.get(emulator, {}).get(procs)
            cells.append("" if not speeds else spread(found) if found else UNKNOWN)
        rows.append([procs, min(taken), max(taken), *cells])
    return markdown(RING_HEAD, rows), missing


def clocks_table(speeds=None):
    """(the table, what is missing: lines)"""
    missing = []
    if speeds and not speeds.cycles:
        try:
            clocks.measured()
        except designs.Lacking as reason:
            missing.append(f"cycles of this host: {reason}")
    return markdown(clocks.HEAD, clocks.rows(speeds.cycles if speeds else None)), missing


def choice_table():
    return markdown(choose.HEAD, choose.rows())
