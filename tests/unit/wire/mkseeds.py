#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds in fuzz/corpus/ for the parsers of hv/wire.

usage: mkseeds.py ROOT [--memory FILE] [--kernel FILE]
  ROOT      the repository
  --memory  physical memory of a machine after its firmware ran (QEMU: pmemsave 0 0x8000000 FILE): ACPI seeds
  --kernel  a bzImage: its setup header becomes a seed
Without the two options their seeds are left as they are.
"""
import argparse
import pathlib
import struct
import sys


def pad(data, size):
    assert len(data) <= size
    return data + bytes(size - len(data))


def at(pieces, size):
    out = bytearray(size)
    for offset, data in pieces:
        out[offset : offset + len(data)] = data
    return bytes(out)



def multiboot1(full):
    mmap = b"".join(
        struct.pack("<IQQI", 20, base, size, kind)
        for base, size, kind in [
            (0, 0x9FC00, 1),
            (0x9FC00, 0x400, 2),
            (0xF0000, 0x10000, 2),
            (0x100000, 0x7EE0000, 1),
            (0x7FE0000, 0x20000, 2),
        ]
    )
    flags = 0x24F if full else 0x1
    info = struct.pack("<IIIIIII", flags, 639, 0x1FB80, 0, 0x80, 2, 0xB0)
    info = at([(0, info), (44, struct.pack("<II", len(mmap), 0x180)), (64, struct.pack("<I", 0xA0))], 0x78)
    mods = struct.pack("<IIIIIIII", 0x200, 0x410, 0xD0, 0, 0x410, 0x420, 0x100, 0)
    kernel = at([(0x202, b"HdrS")], 0x210)
    pieces = [
        (0, info),
        (0x80, b"redoubt.elf serial=on pool=64M\0"),
        (0xA0, b"qemu\0"),
        (0xB0, mods),
        (0xD0, b"/k/vmlinuz kernel console=ttyS0\0"),
        (0x100, b"/k/initrd initrd\0"),
        (0x180, mmap),
        (0x200, kernel),
        (0x410, pad(b"070701", 16)),
    ]
    return b"\0\0\0" + at(pieces, 0x420)


def tag(kind, body):
    data = struct.pack("<II", kind, 8 + len(body)) + body
    return data + bytes(-len(data) % 8)


def multiboot2(efi):
    tags = tag(1, b"serial=off\0") + tag(2, b"GRUB 2.06\0")
    tags += tag(3, struct.pack("<II", 0x300, 0x510) + b"kernel root=/dev/sda1 ro\0")
    tags += tag(3, struct.pack("<II", 0x510, 0x520) + b"\0")
    tags += tag(4, struct.pack("<II", 639, 0x1FB80))
    if efi:
        rows = [(7, 0x100000, 0x700), (2, 0x800000, 8), (9, 0x808000, 8), (10, 0x810000, 0x100), (0, 0xFFC00000, 0x400)]
        tags += tag(17, struct.pack("<II", 48, 1) + b"".join(
            struct.pack("<IIQQQQQ", kind, 0, base, 0, pages, 0xF, 0) for kind, base, pages in rows))
        tags += tag(12, struct.pack("<Q", 0x7F000018))
        tags += tag(8, struct.pack("<QIIIBBH", 0x80000000, 3200, 800, 600, 32, 1, 0) + bytes([16, 8, 8, 8, 0, 8]))
        tags += tag(15, pad(b"RSD PTR ", 36))
    else:
        rows = [(0, 0x9FC00, 1), (0x9FC00, 0x400, 2), (0x100000, 0x7EE0000, 1), (0x7FE0000, 0x20000, 2)]
        tags += tag(6, struct.pack("<II", 24, 0) + b"".join(struct.pack("<QQII", *row, 0) for row in rows))
        tags += tag(14, pad(b"RSD PTR ", 20))
    tags += tag(21, struct.pack("<I", 0x200000)) + tag(0, b"")
    info = struct.pack("<II", 8 + len(tags), 0) + tags
    assert len(info) <= 0x300
    return b"\1\0\0" + at([(0, info), (0x300, at([(0x202, b"HdrS")], 0x210)), (0x510, pad(b"#redoubt\n", 16))], 0x520)


def acpi(memory):
    """The tables of a real machine; of its DSDT only what is around \\_S5_."""
    rsdp = next(a for a in range(0xE0000, 0x100000, 16) if memory[a : a + 8] == b"RSD PTR ")
    rsdt = struct.unpack_from("<I", memory, rsdp + 16)[0]
    size = struct.unpack_from("<I", memory, rsdt + 4)[0]
    tables = {}
    for entry in range(rsdt + 36, rsdt + size, 4):
        address = struct.unpack_from("<I", memory, entry)[0]
        name = memory[address : address + 4].decode()
        tables[name] = memory[address : address + struct.unpack_from("<I", memory, address + 4)[0]]
        if name == "FACP":
            dsdt = struct.unpack_from("<I", memory, address + 40)[0]
            whole = memory[dsdt : dsdt + struct.unpack_from("<I", memory, dsdt + 4)[0]]
            s5 = whole.index(b"_S5_")
            body = whole[s5 - 8 : s5 + 16]
            tables["DSDT"] = whole[:4] + struct.pack("<I", 36 + len(body)) + whole[8:36] + body
    return tables


OPTIONS = {
    "cmdline": b"\0/boot/redoubt.elf pool=512M cpus=2 debugcon=on loglevel=debug iommu=require",
    "quotes": b'\0serial=off "root_cmdline=a b" serial_port=0x2f8',
    "escape": b'\0root_cmdline="dyndbg=\\"file x +p\\" ro"',
    "config": b'\1#redoubt\n# comment\npool = 1G\ncpus=4 # two\nroot_cmdline = root=/dev/sda1 ro\niommu=auto\n',
    "crlf": b'\1loglevel=warn\r\nserial = on\r\nroot_cmdline = "quiet # not"\r\n',
}

INSNS = ["02 0fa2", "02 f4", "02 0f01d9", "02 488b4710", "02 418b048d04000000", "02 c7050400000001000000",
         "02 f0480fba2d", "02 f083 0701", "02 0fb60e", "02 48630e", "02 65a18877665544332291", "01 6766c7071234",
         "00 8b840080", "02 660fbe26", "02 8b0425b000e0fe", "02 f60780", "02 48832fff"]


def main():
    args = argparse.ArgumentParser()
    args.add_argument("root", type=pathlib.Path)
    args.add_argument("--memory", type=pathlib.Path)
    args.add_argument("--kernel", type=pathlib.Path)
    args = args.parse_args()
    seeds = {
        "bootinfo/mb1": multiboot1(True),
        "bootinfo/mb1-basic": multiboot1(False),
        "bootinfo/mb2-bios": multiboot2(False),
        "bootinfo/mb2-efi": multiboot2(True),
    }
    seeds.update({f"options/{name}": text for name, text in OPTIONS.items()})
    seeds.update({f"insn/{i:02}": bytes.fromhex(text.replace(" ", "")) for i, text in enumerate(INSNS)})
    if args.memory:
        tables = acpi(args.memory.read_bytes())
        seeds["acpi/all"] = b"\3" + b"".join(tables[n] for n in ("FACP", "APIC", "DSDT", "MCFG", "IVRS") if n in tables)
        seeds["acpi/small"] = b"\3" + tables["FACP"] + tables["APIC"]
    if args.kernel:
        header = bytearray(args.kernel.read_bytes()[:0x280])
        header[0x1F1] = 1
        struct.pack_into("<I", header, 0x1F4, 2)
        seeds["bzimage/linux"] = pad(bytes(header[:0x280]), 0x420)
    for name, data in seeds.items():
        path = args.root / "fuzz" / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
