"""Where the sources of libbnn lie: the runtime in C that runs deployed models, with nothing but libc behind it."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "board" / "libbnn"
HEADER, EXAMPLE, CMAKE = FOLDER / "bnn.h", FOLDER / "example.c", FOLDER / "CMakeLists.txt"
SOURCES = tuple(sorted(path for path in FOLDER.glob("*.c") if path != EXAMPLE))
PRIVATE_HEADERS = tuple(FOLDER / name for name in ("internal.h", "model.h", "sha256.h"))
SYSTEM_LIBRARIES = ("-lpthread", "-ldl")
