#!/usr/bin/env python3
"""Section 3 of the manual, from the public headers, so that no page can say what its header does not.

    man3.py [--header FILE]… [--symbols MAP] --out DIR      (as an install script: DIR is $MESON_INSTALL_DESTDIR_PREFIX/share/man/man3)

One page a header (tenure_lock.h.3: its opening comment, then each declaration with the comment that stands above or beside
it), and one link a function (tenure_unlock.3), so that `man tenure_unlock` finds its page.
"""

import argparse
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def version():
    return re.search(r"\bversion: '([\d.]+)'", (ROOT / "meson.build").read_text()).group(1)


def comment_text(comment):
    """The paragraphs of a /* … */: a line that is indented further, or a list, keeps its line."""
    body = re.sub(r"^/\*+ ?|\s*\*/$", "", comment.strip())
    lines = [re.sub(r"^\s*\* ?", "", line).rstrip() for line in body.split("\n")]
    return "\n".join(lines).strip("\n")


def parts(text):
    """(comment or None, code) in order: what stands between blank lines, a leading comment split off."""
    text = re.sub(r"^#(?!define|include).*\n", "", text, flags=re.M)
    text = re.sub(r'extern "C" \{\n', "", text)
    text = re.sub(r"^\}\n?$", "", text, flags=re.M)
    text = re.sub(r"^#include.*\n", "", text, flags=re.M)
    # A blank line inside braces does not end a part.
    chunks, depth, begun = [], 0, []
    for line in text.split("\n"):
        if not line.strip() and depth == 0:
            if begun:
                chunks.append("\n".join(begun))
            begun = []
            continue
        begun.append(line)
        depth += line.count("{") - line.count("}")
    if begun:
        chunks.append("\n".join(begun))
    for chunk in chunks:
        yield from split(chunk)


def split(chunk):
    """Each comment at the start of a line opens a part of its own."""
    at = [m.start() for m in re.finditer(r"^/\*", chunk, flags=re.M)]
    if not at or at[0] > 0:
        at = [0, *at]
    for begin, end in zip(at, [*at[1:], len(chunk)]):
        piece = chunk[begin:end].strip("\n")
        m = re.match(r"/\*.*?\*/", piece, flags=re.S)
        if m:
            yield m[0], piece[m.end():].strip("\n")
        else:
            yield None, piece


def functions(code):
    code = re.sub(r"/\*.*?\*/", "", code, flags=re.S)
    code = re.sub(r"\{.*?\}", "", code, flags=re.S)
    return re.findall(r"^(?!typedef)[^\n(]*?\b(tenure_\w+)\([^;]*\)\s*;", code, flags=re.M)


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def prose(text):
    """Paragraphs; lines that are set in by three blanks or more stay as they are."""
    out, set_in = [], False
    for line in text.split("\n"):
        if line.startswith("   ") or (set_in and line.startswith("  ") and line.strip()):
            if not set_in:
                out.append(".RS 4\n.nf")
            set_in = True
            out.append(escape(line.strip("\n")))
            continue
        if set_in:
            out.append(".fi\n.RE")
            set_in = False
        out.append(escape(line) if line.strip() else ".PP")
    if set_in:
        out.append(".fi\n.RE")
    return "\n".join(out)


def page(path):
    """The page's text, and the functions it describes."""
    name = f"tenure/{path.name}"
    library = "tenure-testkit" if path.name == "testkit.h" else "libtenure"
    text = path.read_text()
    opening = re.match(r"/\*.*?\*/", text, flags=re.S)[0]
    about = comment_text(opening)
    first = about.split("\n\n")[0]
    short = re.split(r"(?<=\.)\s", " ".join(first.split()))[0].rstrip(".")
    out = [f'.TH "TENURE_{path.name.upper()}" 3 "" "Tenure {version()}" "Tenure\'s library"', ".nh", ".SH NAME", escape(f"{name} - {short}"),
           ".SH SYNOPSIS", ".nf", f".B #include <{name}>", ".fi", ".PP", escape(f"Link with `pkg-config --libs {library}`."),
           ".SH DESCRIPTION", prose(about)]
    found = []
    for comment, code in parts(text[len(opening):]):
        heading = comment and re.match(r"/\* ---- (.*?) ---- \*/", comment)
        if heading:
            out += [f".SH {escape(heading[1].upper())}"]
            comment = None
        if re.match(r"#define TENURE_\w+_H$", code):
            continue
        here = functions(code)
        found += here
        if code:
            out += [".PP", ".nf", "\n".join(f".B {q(line)}" if line.strip() else "" for line in code.split("\n")), ".fi"]
        if comment:
            out += [".RS 4" if code else ".PP", prose(comment_text(comment)), *([".RE"] if code else [])]
    out += [".SH SEE ALSO", ".BR tenure (1)"]
    return "\n".join(out) + "\n", found


def q(line):
    return '"' + escape(line).replace('"', '\\(dq') + '"'


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--header", action="append", default=[])
    options.add_argument("--out")
    options.add_argument("--mandir", default="share/man")
    options.add_argument("--symbols", action="append", default=[], help="complain about a function in this symbol list that no page describes")
    o = options.parse_args()
    out = Path(o.out or Path(os.environ.get("MESON_INSTALL_DESTDIR_PREFIX", ".")) / o.mandir / "man3")
    out.mkdir(parents=True, exist_ok=True)
    headers = [Path(h) for h in o.header] or sorted((ROOT / "include/tenure").glob("*.h"))
    described = set()
    for header in headers:
        text, found = page(header)
        name = f"tenure_{header.name}.3"
        (out / name).write_text(text)
        for function in found:
            (out / f"{function}.3").write_text(f".so man3/{name}\n")
        described.update(found)
    print(f"{len(headers)} pages and {len(described)} links in {out}")
    exported = set(re.findall(r"^(tenure_\w+)", "".join(Path(p).read_text() for p in o.symbols), flags=re.M))
    for function in sorted(exported - described):
        print(f"{function} is exported, and no header page describes it", file=sys.stderr)
    return 1 if exported - described else 0


if __name__ == "__main__":
    sys.exit(main())
