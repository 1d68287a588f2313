#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the target bootinfo: memory maps of Multiboot 2 that overlap, wrap and do not fit. usage: fuzz/seeds/bootinfo.py"""
import struct

from records import write

USABLE, RESERVED, ACPI, NVS, BAD = 1, 2, 3, 4, 5
MIB = 1 << 20


def tag(kind, body):
    data = struct.pack("<II", kind, 8 + len(body)) + body
    return data + bytes(-len(data) % 8)


def mmap(entries, size=24):
    return tag(6, struct.pack("<II", size, 0) + b"".join(struct.pack("<QQII", *e, 0) for e in entries))


def efi(entries, size=48):
    listed = b"".join(struct.pack("<IIQQQQQ", kind, 0, base, 0, pages, 0, 0) for kind, base, pages in entries)
    return tag(17, struct.pack("<II", size, 1) + listed)


def screen(width, height, depth, pitch):
    """VBE's usual places of red, green and blue."""
    sizes = {15: (10, 5, 5, 5, 0, 5), 16: (11, 5, 5, 6, 0, 5)}.get(depth, (16, 8, 8, 8, 0, 8))
    return tag(8, struct.pack("<QIIIBBH6B", 0xfd000000, pitch, width, height, depth, 1, 0, *sizes))


def seed(*tags, end=True, address=16):
    body = b"".join(tags) + (tag(0, b"") if end else b"")
    return b"\1" + struct.pack("<H", address) + bytes(address) + struct.pack("<II", 8 + len(body), 0) + body


def firmware(entries):
    """Boot services are on: the harness takes the same bytes, in entries of 48, for what the firmware says."""
    data = bytearray(seed(tag(18, b""), tag(20, struct.pack("<Q", 0x1000)), tag(12, struct.pack("<Q", 0x2000)), address=48 * 16))
    for i, (kind, base, pages) in enumerate(entries):
        struct.pack_into("<IIQQQQQ", data, 3 + 48 * i, kind, 0, base, 0, pages, 0, 0)
    return bytes(data)


def seeds():
    every = [(n * MIB, MIB, kind) for n, kind in enumerate((USABLE, RESERVED, ACPI, NVS, BAD, 77, 0))]
    yield "kinds", seed(mmap(every))
    for kind in (USABLE, RESERVED, ACPI, NVS, BAD):
        yield f"overlay_{kind}", seed(mmap([(0, 64 * MIB, kind), *((n * 8 * MIB + 4096, MIB, k) for n, k in enumerate((4, 1, 5, 3, 2)))]))
        yield f"under_{kind}", seed(mmap([*((n * 8 * MIB, MIB, k) for n, k in enumerate((4, 1, 5, 3, 2))), (0, 64 * MIB, kind)]))
    yield "merged", seed(mmap([(0, MIB, 1), (2 * MIB, MIB, 1), (MIB, MIB, 1), (3 * MIB, 0, 1)]))
    yield "wraps", seed(mmap([((1 << 64) - 4096, 8192, USABLE)]))
    yield "full", seed(mmap([(n * 8192, 4096, USABLE) for n in range(130)]))
    yield "full_inside", seed(mmap([(0, 1 << 40, USABLE), *((n * 8192, 4096, RESERVED) for n in range(1, 80))]))
    yield "full_edges", seed(mmap([*((n * 8192 + 4096, 4096, RESERVED) for n in range(127)), (0, 1 << 30, USABLE)]))
    yield "full_before", seed(mmap([*((n * 8192 + 4096, 4096, RESERVED) for n in range(128)), (0, 4096, USABLE)]))
    yield "efi_kinds", seed(efi([(k, k * MIB, 16) for k in range(16)]))
    yield "efi_wraps", seed(efi([(7, 0, 1 << 60)]))
    yield "efi_cut", seed(tag(17, struct.pack("<II", 48, 1) + bytes(47)))
    yield "image", seed(tag(20, struct.pack("<Q", 0x1234000)), tag(12, struct.pack("<Q", 0x5678)), mmap(every))
    yield "firmware", firmware([(7, 0, 100), (8, MIB, 1), (9, 2 * MIB, 1), (10, 3 * MIB, 1), (3, 4 * MIB, 1)])
    yield "firmware_none", firmware([(0, 0, 1)])
    yield "basic", seed(tag(4, struct.pack("<II", 900, 65536)))
    for width, height, depth, pitch in ((640, 480, 15, 1280), (800, 600, 16, 1600), (1024, 768, 24, 3072), (1280, 720, 32, 8192)):
        yield f"screen_{depth}", seed(screen(width, height, depth, pitch), mmap([(0, MIB, USABLE)]), address=8)
    module = lambda n, text=b"": tag(3, struct.pack("<II", n, n + 1) + text + b"\0")
    yield "modules_nine", seed(mmap(every), *(module(n) for n in range(9)))
    # Maps of more entries than are taken: memory goes on behind the input (byte 0).
    many = lambda data, kind: bytes([data[0] | kind]) + data[1:]

    def long_map(kind, head, size):
        data = bytearray(many(seed(tag(kind, head), end=False), 2))
        struct.pack_into("<I", data, 3 + 16, size + 8 + 40 * 24)  # of all tags
        struct.pack_into("<I", data, 3 + 16 + 8 + 4, size)
        return bytes(data)

    yield "long_map", long_map(6, struct.pack("<II", 24, 0), 16 + 24 * 1025)
    # Behind the map the bytes have to be an end tag: 8 more than a multiple of 24 behind the input.
    yield "long_efi", next(s for s in (long_map(17, struct.pack("<II", 40, 1), 16 + 40 * n) for n in range(1025, 1090)) if (8 + 16 + 16 + struct.unpack_from("<I", s, 31)[0] - 16 - (len(s) - 3)) % 24 == 8)
    total = bytearray(many(seed(mmap(every)), 4))
    struct.pack_into("<I", total, 3 + 16, (1 << 20) + 8)
    yield "total_long", bytes(total)

    def one(flags, texts=b"", modules=(), map_bytes=0, kind=0):
        """Multiboot 1: the information at 16, modules at 160, texts at 320."""
        info = bytearray(116)
        struct.pack_into("<III", info, 0, flags, 639, 65536)
        struct.pack_into("<II", info, 20, len(modules), 160)
        struct.pack_into("<II", info, 44, map_bytes, 320 + len(texts))
        struct.pack_into("<I", info, 64, 320)
        memory = bytearray(320) + texts
        memory[16:132] = info
        for i, (start, text) in enumerate(modules):
            struct.pack_into("<IIII", memory, 160 + 16 * i, start, start + 1, 320 + text if text is not None else 0, 0)
        return bytes([kind]) + struct.pack("<H", 16) + bytes(memory)

    yield "one_loader", one(1 | 1 << 9, b"GRUB 2.12\0behind\x01\xff\0")
    yield "one_loader_odd", one(1 | 1 << 9, b"a\x01b\xffc")
    texts = (b"root=/dev/sda1 quiet\0", b"/boot/vmlinuz quiet\0", b"initrd a=b\0", b"a=/b\0")
    starts = [sum(map(len, texts[:i])) for i in range(len(texts))]
    for i, at in enumerate(starts):
        yield f"one_args_{i}", one(1 | 1 << 3, b"".join(texts), [(3, None), (4, at), (5, at)])
    yield "one_long_map", one(1 << 6, b"", (), 24 * 1025, 2)
    yield "no_end", seed(mmap(every), end=False)


write("bootinfo", seeds())
