#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the reader of ELF files: image. usage: fuzz/seeds/image.py"""
import struct

from records import write


def elf(segments):
    head = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0, 52, 0, 0, 52, 32, len(segments), 0, 0, 0)
    return head + b"".join(struct.pack("<8I", 1, 0, at, at, 0, memory, 6, 16) for at, memory in segments)


def seeds():
    yield "segments_16", elf([(4096 * n, 64) for n in range(16)])
    yield "segments_17", elf([(4096 * n, 64) for n in range(17)])


write("image", seeds())
