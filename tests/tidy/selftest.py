#!/usr/bin/env python3
"""Shows that each tidy check can complain: a small good tree passes, and each single fault in it is named."""

import shutil
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import tidy

RULES = (Path(__file__).parent / "layers.txt").read_text()

GOOD = {
    "src/base/bytes.h": "#include <stddef.h>\n",
    "src/backend/record.h": '#include "base/bytes.h"\n',
    "src/backend/backend.h": '#include "backend/record.h"\n',
    "src/store/kv.c": '#include "backend/record.h"\n#include "base/bytes.h"\n/* time( and sprintf( in a comment */\n'
    'const char *s = "time(0)"; int f(struct x *a) { return a->time(1) + runtime(2); }\n',
    "src/io/loop.c": "#include <time.h>\n#include <uv.h>\nint f(void) { return clock_gettime(0, 0); }\n",
    "src/wire/kv.c": '#include "rpc.pb-c.h"\n#include <nghttp2/nghttp2.h>\n',
    "include/tenure/a.h": '#ifdef __cplusplus\nextern "C" {\n#endif\n/* A struct. */\nstruct tenure_s {\n    int a;\n};\n\n'
    "/* Does a thing. */\nint tenure_a(int x);\n\n/* Two lines.\n */\nint\ntenure_b(void);\n"
    "typedef void (*tenure_cb)(int);\n#ifdef __cplusplus\n}\n#endif\n",
}


def tree(**faults):
    """A copy of the good tree with files added or replaced; the caller's process removes it at the end."""
    root = Path(tempfile.mkdtemp(prefix="tidy-"))
    ROOTS.append(root)
    for name, text in {**GOOD, **faults}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


ROOTS = []
RULES_PARSED = tidy.Rules(RULES)


def layers(name, text):
    return tidy.check_layers(tree(**{name: text}), RULES_PARSED)


def docs(text):
    return tidy.check_docs(tree(**{"include/tenure/b.h": text}))


def version(string, major, minor):
    header = (
        f"#define TENURE_VERSION_MAJOR {major}\n#define TENURE_VERSION_MINOR {minor}\n"
        f'#define TENURE_VERSION_PATCH 0\n#define TENURE_VERSION_STRING "{string}"\n'
    )
    return tidy.check_docs(tree(**{"include/tenure/tenure.h": header, "meson.build": "version: '0.1.0',\n"}))


def sizes(text):
    return tidy.check_sizes(tree(**{"src/base/big.c": text}), RULES_PARSED)


def table(text):
    return tidy.check_table(tree(**{"ARCHITECTURE.md": text}), RULES_PARSED)


def symbols(exported, agreed, testkit=""):
    return tidy.check_symbols(tree(**{"include/tenure/testkit.h": testkit}), exported, agreed)


TABLE = "\n".join([tidy.TABLE_BEGIN, *tidy.table_lines(RULES_PARSED), tidy.TABLE_END])
BOTH = ["tenure_a", "tenure_b"]

# (what is shown, what the check says, a part of the complaint that must be there; None: no complaint)
CASES = [
    ("a good tree has no complaint about layers", lambda: layers("src/base/x.h", ""), None),
    ("the store may not include libuv", lambda: layers("src/store/a.c", "#include <uv.h>\n"), "store may not use libuv"),
    ("an include after a space and in a nest", lambda: layers("src/store/a.c", "#if 1\n # include <uv.h>\n#endif\n"), "uv"),
    ("the store may see one header of the backend", lambda: layers("src/store/a.c", '#include "backend/record.h"\n'), None),
    ("and no other", lambda: layers("src/store/a.c", '#include "backend/backend.h"\n'), "store may not use backend"),
    ("a lower layer may not use a higher one", lambda: layers("src/base/a.c", '#include "store/kv.h"\n'), "base may not"),
    ("core may not use SQLite", lambda: layers("src/core/a.c", "#include <sqlite3.h>\n"), "core may not use sqlite"),
    ("client may not use OpenSSL", lambda: layers("src/client/a.c", "#include <openssl/ssl.h>\n"), "openssl"),
    ("server may not use client", lambda: layers("src/server/a.c", '#include "client/call.h"\n'), "may not use client"),
    ("only wire includes generated headers", lambda: layers("src/core/a.c", '#include "rpc.pb-c.h"\n'), "protobuf-c"),
    ("recipes may not use nghttp2", lambda: layers("src/recipes/a.c", "#include <nghttp2/nghttp2.h>\n"), "nghttp2"),
    ("the store has no threads", lambda: layers("src/store/a.c", "#include <pthread.h>\n"), "pthread"),
    ("the store has no clock header", lambda: layers("src/store/a.c", "#include <time.h>\n"), "store may not use clock"),
    ("the client has no sockets", lambda: layers("src/client/a.c", "#include <sys/socket.h>\n"), "posix"),
    ("an unknown library is named", lambda: layers("src/io/a.c", "#include <curl/curl.h>\n"), "in no library"),
    ("an unknown layer is named", lambda: layers("src/misc/a.c", ""), "misc is no layer"),
    ("nothing includes tests", lambda: layers("src/base/a.c", '#include "tests/util.h"\n'), "never tests"),
    ("a way around through .. is seen", lambda: layers("src/base/a.c", '#include "../store/kv.h"\n'), "../store"),
    ("a public header includes no inner one", lambda: layers("include/tenure/b.h", '#include "base/bytes.h"\n'), "public"),
    ("an engine reads no clock", lambda: layers("src/store/a.c", "void f(void) { x = time(NULL); }\n"), "calls time"),
    ("nor by clock_gettime", lambda: layers("src/recipes/a.c", "void f(void){clock_gettime(1, &t);}\n"), "clock_gettime"),
    ("the loop may", lambda: layers("src/io/a.c", "void f(void) { clock_gettime(1, &t); }\n"), None),
    ("a handle goes by its own clock", lambda: layers("src/lib/a.c", "void f(void) { x = io_clock(); }\n"), "handle_clock"),
    ("but for the files that are named", lambda: layers("src/lib/post.c", "void f(void) { x = io_clock(); }\n"), None),
    ("strcpy is banned everywhere", lambda: layers("src/cli/a.c", "void f(void) { strcpy(a, b); }\n"), "strcpy"),
    ("sprintf is, snprintf is not", lambda: layers("src/cli/a.c", "int a = snprintf(b, 1, c) + sprintf(b, c);\n"), "sprintf"),
    ("strcat is banned everywhere", lambda: layers("src/io/a.c", "void f(void) { strcat (a, b); }\n"), "strcat"),
    ("a described function passes", lambda: docs("/* Why. */\nint tenure_c(void);\n"), None),
    ("a function without a comment is named", lambda: docs("\nint tenure_c(void);\n"), "tenure_c has no comment"),
    ("a comment further up does not count", lambda: docs("/* Why. */\n\nint tenure_c(void);\n"), "tenure_c"),
    ("a comment covers the run under it", lambda: docs("/* A. */\nint tenure_c(int a,\n int b);\nint tenure_d(void);\n"), None),
    ("a comment beside counts", lambda: docs("\nint tenure_c(void); /* A. */\n"), None),
    ("an empty line ends the run", lambda: docs("/* A. */\nint tenure_c(void);\n\nint tenure_d(void);\n"), "tenure_d"),
    ("a struct ends the run", lambda: docs("/* A. */\nint tenure_c(void);\nstruct x {\n int a;\n};\nint tenure_d(void);\n"), "tenure_d"),
    ("the end of code is no comment", lambda: docs("int a; /* A. */\nint tenure_c(void);\n"), "tenure_c"),
    ("one version everywhere passes", lambda: version("0.1.0", 0, 1), None),
    ("a version string that lags is named", lambda: version("0.0.9", 0, 1), "the string say 0.0.9"),
    ("a version number that lags is named", lambda: version("0.1.0", 0, 2), "the numbers say 0.2.0"),
    ("a function after a struct is seen", lambda: docs("struct tenure_x {\n int a;\n};\nint tenure_c(void);\n"), "tenure_c"),
    ("a file within its limit passes", lambda: sizes("int a;\n" * 100), None),
    ("a file beyond its limit is named", lambda: sizes("int a;\n" * 2001), "big.c: 2001 lines"),
    ("a struct beyond its limit is named", lambda: sizes("struct big {\n" + "int a;\n" * 200 + "};\n"), "struct big"),
    ("the table as printed passes", lambda: table(TABLE), None),
    ("a row that is too generous is named", lambda: table(TABLE.replace("| libc |", "| libc, libuv |", 1)), "not in layers"),
    ("a row left out is named", lambda: table("\n".join(TABLE.splitlines()[:-2] + [tidy.TABLE_END])), "missing: | cli"),
    ("exactly the agreed symbols pass", lambda: symbols(BOTH, BOTH), None),
    ("a foreign symbol is named", lambda: symbols(BOTH + ["helper"], BOTH + ["helper"]), "helper: exported, but not tenure_"),
    ("a symbol that was not agreed is named", lambda: symbols(BOTH + ["tenure_c"], BOTH), "tenure_c: exported"),
    ("a symbol that went away is named", lambda: symbols(BOTH, BOTH + ["tenure_c"]), "tenure_c: in symbols.txt"),
    ("a function of the test kit need not be in the library", lambda: symbols(BOTH, BOTH, "int tenure_testkit_a(void);"), None),
    ("but in its own", lambda: symbols(BOTH, BOTH + ["tenure_testkit_a"], "int tenure_testkit_a(void);"), "tenure_testkit_a is declared"),
    ("names of our own pass", lambda: tidy.check_clashes({"json_walk", "_init"}, {"libj.so": ["json_object", "_init"]}), None),
    ("a function that hides a library's is named", lambda: tidy.check_clashes({"json_object"}, {"libj.so": ["json_object"]}), "libj.so"),
    ("a declared function must be exported", lambda: symbols(["tenure_a"], ["tenure_a"]), "tenure_b is declared"),
]


def main():
    print(f"1..{len(CASES)}")
    failed = 0
    for number, (what, check, wanted) in enumerate(CASES, 1):
        complaints = check()
        as_wanted = complaints == [] if wanted is None else any(wanted in line for line in complaints)
        print(f"{'ok' if as_wanted else 'not ok'} {number} - {what}")
        if not as_wanted:
            failed += 1
            print(f"# wanted: {wanted}; got: {complaints}")
    for root in ROOTS:
        shutil.rmtree(root)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
