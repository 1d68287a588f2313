#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Wraps the 64-bit position-independent image into a 32-bit ELF file: one segment, which every Multiboot loader takes.

usage: mkelf32.py redoubt.elf64 redoubt.elf
"""
import struct
import sys

LOAD = 0x01000000  # 16 MiB; the image does not depend on it


def fail(text):
    sys.exit(f"mkelf32: {text}")


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        sys.exit(0 if len(sys.argv) > 1 and sys.argv[1] in ("-h", "--help") else 2)
    data = open(sys.argv[1], "rb").read()
    if data[:5] != b"\x7fELF\x02":
        fail(f"{sys.argv[1]}: not a 64-bit ELF file")
    entry, phoff = struct.unpack_from("<QQ", data, 24)
    phentsize, phnum = struct.unpack_from("<HH", data, 54)
    image, memsize = bytearray(), 0
    for i in range(phnum):
        ptype, _, off, vaddr, _, filesz, memsz, _ = struct.unpack_from("<IIQQQQQQ", data, phoff + i * phentsize)
        if ptype != 1:
            continue
        if vaddr < len(image):
            fail(f"segment {i} overlaps its predecessor")
        image += bytes(vaddr - len(image)) + data[off:off + filesz]
        memsize = max(memsize, vaddr + memsz)
    if not image:
        fail("no segment to load")
    memsize = (memsize + 4095) & ~4095
    header = 4096  # keeps the image page-aligned in the file; the Multiboot headers stay within the first 8 KiB
    ehdr = b"\x7fELF\x01\x01\x01" + bytes(9)
    ehdr += struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, LOAD + entry, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    phdr = struct.pack("<IIIIIIII", 1, header, LOAD, LOAD, len(image), memsize, 7, 4096)
    with open(sys.argv[2], "wb") as out:
        out.write((ehdr + phdr).ljust(header, b"\0") + image)


main()
