#!/usr/bin/env python3
"""The rules that no compiler checks, each a test. Prints TAP.

    tidy.py layers  ROOT            includes and calls of each layer against layers.txt
    tidy.py table   ROOT            ARCHITECTURE.md's may-use table says what layers.txt says
    tidy.py docs    ROOT            each function in include/tenure/ has its comment; the version there is the build's
    tidy.py sizes   ROOT            the largest files and structs, and that none is beyond its limit
    tidy.py symbols ROOT LIBRARY    libtenure.so exports tenure_* only: exactly symbols.txt, and all that is declared
    tidy.py clashes ROOT PROGRAM    no function of ours has the name of one in a library that the program uses

    tidy.py print-table ROOT        the table for ARCHITECTURE.md, between its markers
    tidy.py list-symbols LIBRARY    what symbols.txt has to hold

Each check is a function from a tree to a list of complaints; tests/tidy/selftest.py shows that each can complain.
"""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

TABLE_BEGIN = "<!-- may-use:begin (tests/tidy/tidy.py print-table) -->"
TABLE_END = "<!-- may-use:end -->"


# --- layers.txt ------------------------------------------------------------------------------------------------------


class Rules:
    """layers.txt, parsed: layers {name: (uses, libraries)}, libraries {name: patterns}, calls, limits."""

    def __init__(self, text):
        self.layers, self.libraries, self.calls, self.limits = {}, {}, [], {}
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#")[0].strip()
            if line:
                self._parse(line, number)

    def _parse(self, line, number):
        kind, _, rest = line.partition(" ")
        name, *fields = [field.strip() for field in rest.split(":")]
        if kind == "layer" and len(fields) == 2:
            self.layers[name] = (fields[0].split(), fields[1].split())
        elif kind == "library" and len(fields) == 1:
            self.libraries.setdefault(name, []).extend(fields[0].split())
        elif kind == "call" and len(fields) == 2:
            self.calls.append((name, fields[0].split(), fields[1].split()))
        elif kind == "limit" and len(fields) == 1:
            self.limits[name] = int(fields[0])
        else:
            raise SystemExit(f"layers.txt:{number}: cannot be read: {line}")

    def library_of(self, header):
        """The library a header belongs to; a precise name wins over a pattern. None when it is in no library."""
        matches = [
            (("*" in pattern), name)
            for name, patterns in self.libraries.items()
            for pattern in patterns
            if fnmatch.fnmatchcase(header, pattern)
        ]
        return min(matches)[1] if matches else None


# --- reading C -------------------------------------------------------------------------------------------------------


def blank(match):
    """Keeps the line breaks of what it removes, so that line numbers hold."""
    return re.sub(r"[^\n]", " ", match.group(0))


def without_comments(text):
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: blank(m) if m.group(0)[0] == "/" else m.group(0), text, flags=re.S)


def code_only(text):
    """Without comments, strings and preprocessor lines."""
    text = without_comments(text)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)
    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text)


def includes(text):
    """(line number, header) of each #include."""
    found = re.finditer(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"]', without_comments(text), re.M)
    return [(text.count("\n", 0, match.start()) + 1, match.group(1)) for match in found]


def c_files(root, *folders):
    return sorted(path for folder in folders for path in (root / folder).rglob("*.[ch]"))


# --- layers ----------------------------------------------------------------------------------------------------------


def layer_sources(root):
    """(layer, path) of every C file that belongs to a layer."""
    for path in c_files(root, "src"):
        yield path.relative_to(root / "src").parts[0], path
    for path in c_files(root, "include"):
        yield "public", path


def include_complaint(rules, layer, header, path, root):
    """Why this layer may not include this header, or None."""
    uses, libraries = rules.layers[layer]
    if header.startswith("tests/") or header.startswith("../"):
        return f"includes {header}: name headers from src/ or include/, never tests"
    owner = "public" if header.startswith("tenure/") else header.split("/")[0]
    own = (path.parent / header).exists() or (root / "src" / layer / header).exists()
    if owner == layer or header in uses or owner in uses:
        return None
    if owner in rules.layers:
        return f"includes {header}: {layer} may not use {owner}"
    library = rules.library_of(header)
    if library is None and own and "/" not in header:
        return f"includes {header}: write it as {layer}/{header}"
    if library is None:
        return f"includes {header}: in no library of layers.txt"
    if library not in libraries:
        return f"includes {header}: {layer} may not use {library}"
    return None


def check_layers(root, rules):
    complaints = []
    for layer, path in layer_sources(root):
        place = path.relative_to(root)
        if layer not in rules.layers:
            complaints.append(f"{place}: {layer} is no layer of layers.txt")
            continue
        text = path.read_text()
        for line, header in includes(text):
            why = include_complaint(rules, layer, header, path, root)
            if why:
                complaints.append(f"{place}:{line}: {why}")
        complaints += call_complaints(rules, layer, place, text)
    return complaints


def call_complaints(rules, layer, place, text):
    complaints = []
    code = code_only(text)
    file = place.relative_to("src").as_posix() if place.parts[0] == "src" else ""
    for why, functions, allowed in rules.calls:
        if layer in allowed or file in allowed:
            continue
        # Not a member (a.time, a->time) and not a declaration of a type's own function pointer.
        for match in re.finditer(r"(?<![\w.>])(%s)[ \t]*\(" % "|".join(functions), code):
            line = code.count("\n", 0, match.start()) + 1
            complaints.append(f"{place}:{line}: calls {match.group(1)}: {why}")
    return complaints


# --- ARCHITECTURE.md -------------------------------------------------------------------------------------------------


def table_lines(rules):
    yield "| layer | may use | libraries |"
    yield "|---|---|---|"
    for name, (uses, libraries) in rules.layers.items():
        yield f"| {name} | {', '.join(uses) or '-'} | {', '.join(libraries) or '-'} |"


def check_table(root, rules):
    """None when there is no table yet."""
    page = root / "ARCHITECTURE.md"
    text = page.read_text() if page.exists() else ""
    if TABLE_BEGIN not in text:
        return None
    shown = text.split(TABLE_BEGIN)[1].split(TABLE_END)[0].strip().splitlines()
    wanted = list(table_lines(rules))
    if shown == wanted:
        return []
    complaints = [f"ARCHITECTURE.md: not in layers.txt: {line}" for line in shown if line not in wanted]
    complaints += [f"ARCHITECTURE.md: missing: {line}" for line in wanted if line not in shown]
    return complaints or ["ARCHITECTURE.md: the rows are in another order than in layers.txt"]


# --- public headers --------------------------------------------------------------------------------------------------


def statements(text):
    """(first line, last line, text) of each statement at the top level of a header; struct bodies count as their end."""
    code = re.sub(r"extern\s+\{", blank, code_only(text))
    depth, start = 0, 0
    for index, char in enumerate(code):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if (char == ";" and depth == 0) or (char == "}" and depth < 0):
            depth = max(depth, 0)
            statement = code[start:index]
            begin = start + len(statement) - len(statement.lstrip())
            yield code.count("\n", 0, begin) + 1, code.count("\n", 0, index) + 1, statement.strip()
            start = index + 1


def function_name(statement):
    """The tenure_ function that a statement declares, or None."""
    if "{" in statement or re.match(r"typedef\b", statement):
        return None
    match = re.search(r"\b(tenure_\w+)\s*\(", statement)
    return match.group(1) if match else None


def declared_functions(text):
    """(line, name) of each function that a public header declares."""
    return [(first, function_name(s)) for first, last, s in statements(text) if function_name(s)]


def undescribed_functions(text):
    """(line, name) of the functions without a comment: above, beside, or above the unbroken run that they stand in."""
    lines = text.splitlines()
    described_until = -1  # the last line that the comment above the current run covers
    for first, last, statement in statements(text):
        above = lines[first - 2].strip() if first >= 2 else ""
        if above.endswith("*/") and lines[first - 2].lstrip().startswith(("/*", "*")):
            described_until = last
        elif described_until == first - 1 and "{" not in statement:
            described_until = last
        name = function_name(statement)
        beside = "/*" in lines[last - 1]
        if name and described_until != last and not beside:
            yield first, name


def check_docs(root):
    complaints = []
    for path in c_files(root, "include"):
        for line, name in undescribed_functions(path.read_text()):
            complaints.append(f"{path.relative_to(root)}:{line}: {name} has no comment above or beside it")
    return complaints + version_complaints(root)


def version_complaints(root):
    """tenure.h and meson.build name the version twice each; all have to agree."""
    header, build = root / "include/tenure/tenure.h", root / "meson.build"
    if not header.exists():
        return []
    text = header.read_text()
    built = re.search(r"\bversion: '([\d.]+)'", build.read_text()).group(1)
    parts = [re.search(rf"TENURE_VERSION_{part} +(\d+)", text) for part in ("MAJOR", "MINOR", "PATCH")]
    numbers = ".".join(part.group(1) if part else "?" for part in parts)
    string = re.search(r'TENURE_VERSION_STRING +"([^"]*)"', text)
    named = {"the numbers": numbers, "the string": string.group(1) if string else "?"}
    return [f"include/tenure/tenure.h: {what} say {v}, meson.build {built}" for what, v in named.items() if v != built]


# --- sizes -----------------------------------------------------------------------------------------------------------


def structs(path):
    """(lines, name) of each struct defined in a file."""
    code = code_only(path.read_text())
    for match in re.finditer(r"\bstruct\s+(\w+)\s*\{", code):
        depth, index = 1, match.end()
        while depth and index < len(code):
            depth += {"{": 1, "}": -1}.get(code[index], 0)
            index += 1
        yield code.count("\n", match.start(), index) + 1, match.group(1)


def check_sizes(root, rules, report=lambda line: None):
    files, blocks = [], []
    for path in c_files(root, "src", "include"):
        place = path.relative_to(root)
        files.append((len(path.read_text().splitlines()), str(place)))
        blocks += [(lines, f"{place}: struct {name}") for lines, name in structs(path)]
    complaints = []
    for what, found in (("file", files), ("struct", blocks)):
        for lines, name in sorted(found, reverse=True)[:10]:
            report(f"{what} {lines:5} lines  {name}")
        limit = rules.limits[what]
        complaints += [f"{name}: {lines} lines, the limit is {limit}" for lines, name in found if lines > limit]
    return complaints


# --- symbols ---------------------------------------------------------------------------------------------------------


def exported_symbols(library):
    listed = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return sorted(row[-1].split("@")[0] for row in rows if row[-2] != "A")


def check_symbols(root, exported, agreed):
    complaints = [f"{name}: exported, but not tenure_*" for name in exported if not name.startswith("tenure_")]
    complaints += [f"{name}: exported, but not in symbols.txt" for name in exported if name not in agreed]
    complaints += [f"{name}: in symbols.txt, but not exported" for name in agreed if name not in exported]
    for path in c_files(root, "include"):
        for line, name in declared_functions(path.read_text()):
            is_left_out = name.startswith("tenure_testkit_") and name not in agreed
            if name not in exported and not is_left_out:
                complaints.append(f"{path.relative_to(root)}:{line}: {name} is declared but not exported")
    if any("declared but" in complaint for complaint in complaints):
        complaints.append("(exported is what is defined and declared between `#pragma GCC visibility push(default)` and `pop`)")
    return complaints


def read_symbols(root, library):
    """The test kit's are in libtenure-testkit.so alone, which has all the others as well."""
    text = (root / "tests/tidy/symbols.txt").read_text()
    if "testkit" in Path(library).name:
        text += (root / "tests/tidy/symbols-testkit.txt").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


# --- clashes ---------------------------------------------------------------------------------------------------------
# A linker takes the program's own function for the library's of the same name, and says nothing.


def own_functions(program):
    """Those that more than one file sees: what the layers' archives define, static functions left out."""
    archives = sorted(Path(program).parent.glob("src/*/libtenure_*.a"))
    listed = subprocess.run(["nm", "--defined-only", *archives], check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return {row[-1] for row in rows if len(row) == 3 and row[1] in "TDB"}


def used_libraries(program):
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"=> (/\S+)", listed)


def check_clashes(ours, libraries):
    """ours: names; libraries: {path: the names it exports}. What the toolchain puts into both begins with _."""
    return [
        f"{name}: ours, and also in {path}"
        for path, theirs in libraries.items()
        for name in sorted(ours.intersection(theirs))
        if not name.startswith("_")
    ]


# --- the command -----------------------------------------------------------------------------------------------------


def finish(what, complaints):
    """One TAP test; the complaints in front of it."""
    print("1..1")
    if complaints is None:
        print(f"ok 1 - {what} # SKIP there is nothing to check yet")
        return 0
    for complaint in complaints:
        print(f"# {complaint}")
    print(f"{'not ok' if complaints else 'ok'} 1 - {what}")
    return 1 if complaints else 0


def main(argv):
    if len(argv) < 3:
        raise SystemExit(__doc__)
    command = argv[1]
    if command == "list-symbols":
        print("\n".join(exported_symbols(argv[2])))
        return 0
    root = Path(argv[2])
    rules = Rules((root / "tests/tidy/layers.txt").read_text())
    if command == "layers":
        return finish("each layer uses only what it may", check_layers(root, rules))
    if command == "table":
        return finish("ARCHITECTURE.md shows the same table", check_table(root, rules))
    if command == "docs":
        return finish("each public function is described, and the version is one", check_docs(root))
    if command == "sizes":
        return finish("no file and no struct is beyond its limit", check_sizes(root, rules, lambda s: print("#", s)))
    if command == "symbols":
        complaints = check_symbols(root, exported_symbols(argv[3]), read_symbols(root, argv[3]))
        return finish("the library exports what is agreed", complaints)
    if command == "clashes":
        libraries = {path: exported_symbols(path) for path in used_libraries(argv[3])}
        return finish("no function hides one of a library", check_clashes(own_functions(argv[3]), libraries))
    if command == "print-table":
        print("\n".join([TABLE_BEGIN, *table_lines(rules), TABLE_END]))
        return 0
    raise SystemExit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
