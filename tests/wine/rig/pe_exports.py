"""Print a .def file with every name that a 64-bit Windows DLL exports, for dlltool and the mingw linker.

    pe_exports.py python311.dll                     an import library's names
    pe_exports.py python311.dll --forward-from python3.dll
                                                    a DLL that forwards each of them (what python3.dll is)

Debian's mingw has no gendef.  Offsets: Microsoft, "PE Format", optional header and export directory.
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Iterator
from pathlib import Path

PE_OFFSET = 0x3C
COFF_SECTION_COUNT, COFF_OPTIONAL_SIZE = 6, 20  # from the "PE\0\0" signature
OPTIONAL_HEADER = 24  # from the signature
EXPORT_DIRECTORY = 112  # from the optional header (PE32+)
SECTION_SIZE, SECTION_BOUNDS = 40, 8  # VirtualSize, VirtualAddress, SizeOfRawData, PointerToRawData
NAME_COUNT, NAME_POINTERS = 24, 32  # from the export directory


def exported_names(image: bytes) -> Iterator[str]:
    """Names in the DLL's export directory, in its own (sorted) order."""

    def read(fmt: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from("<" + fmt, image, offset)

    (pe,) = read("I", PE_OFFSET)
    optional = pe + OPTIONAL_HEADER
    first_section = optional + read("H", pe + COFF_OPTIONAL_SIZE)[0]
    count = read("H", pe + COFF_SECTION_COUNT)[0]
    sections = [read("IIII", first_section + SECTION_SIZE * i + SECTION_BOUNDS) for i in range(count)]

    def file_offset(address: int) -> int:
        for virtual_size, start, raw_size, raw in sections:
            if start <= address < start + max(virtual_size, raw_size):
                return address - start + raw
        raise ValueError(f"address {address:#x} lies in no section")

    exports = file_offset(read("I", optional + EXPORT_DIRECTORY)[0])
    pointers = file_offset(read("I", exports + NAME_POINTERS)[0])
    for i in range(read("I", exports + NAME_COUNT)[0]):
        start = file_offset(read("I", pointers + 4 * i)[0])
        yield image[start : image.index(b"\0", start)].decode("ascii")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dll", type=Path)
    parser.add_argument("--forward-from", metavar="NAME")
    args = parser.parse_args()
    print(f"LIBRARY {args.forward_from or args.dll.name}\nEXPORTS")
    for name in exported_names(args.dll.read_bytes()):
        print(f"{name} = {args.dll.stem}.{name}" if args.forward_from else name)


if __name__ == "__main__":
    main()
