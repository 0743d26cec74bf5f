#!/usr/bin/env python3
"""Writes files as C strings: embed.py OUT NAME=FILE…, for what the binary prints by itself."""

import sys
from pathlib import Path

out = ["/* Written by share/fence/embed.py. */", ""]
for word in sys.argv[2:]:
    name, path = word.split("=", 1)
    out.append(f"extern const char {name}[];")
    out.append(f"const char {name}[] =")
    for line in Path(path).read_text().splitlines():
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?")
        out.append(f'    "{escaped}\\n"')
    out[-1] += ";"
    out.append("")
Path(sys.argv[1]).write_text("\n".join(out))
