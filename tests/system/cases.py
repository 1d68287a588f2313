# SPDX-License-Identifier: MIT
"""The matrix of system tests: which machines are booted and what is checked in each."""

from dataclasses import dataclass, replace

KERNELS = ("6.1", "6.12")
MACHINES = ("pc", "q35")
HV_BOOTS = ("mb1", "grub-bios", "grub-uefi")
BARE_BOOTS = ("bare", "grub-bios", "grub-uefi")

POOL_MIB = 256      # pool for child partitions in every case with the hypervisor

# Checks in the order they run: word for rt=, seconds that it may take on a busy computer.
# {cpus}, {machine}, {port}, {ram}, {soak} are filled in.
CHECKS = (
    ("cpus:{cpus}", 60),
    ("memmap:{ram}", 60),
    ("hv", 90),
    ("hidden-svm", 60),
    ("serial:1500", 120),
    ("disk-ahci", 240),
    ("disk-virtio", 240),
    ("net-e1000:{port}", 240),
    ("net-virtio:{port}", 240),
    ("pci:{machine}", 60),
    ("interrupts", 120),
    ("irqmove", 60),
    ("sleep", 120),
    ("clocks", 120),
    ("timerfd", 60),
    ("rtc", 90),
    ("hwclock", 60),
    ("offline", 120),
    ("soak:{soak}", 180),
    ("dmesg", 60),
)
NAMES = tuple(c.split(":")[0] for c, _ in CHECKS)
HV_ONLY = ("hv", "hidden-svm")
LONG_SOAK = 600


@dataclass(frozen=True)
class Case:
    kernel: str
    machine: str
    boot: str
    hv: bool
    cpus: int = 2
    iommu: bool = False
    checks: tuple = NAMES
    soak: int = 20
    end: str = "poweroff"       # or "reboot"
    append: str = ""
    tag: str = ""
    default: bool = False       # part of the subset that runs without --all

    @property
    def name(self):
        return "-".join(p for p in (self.kernel, self.machine, self.boot, self.tag) if p)

    def tests(self):
        """Names of its tests in the order in which they end."""
        own = [c for c in self.checks if self.hv or c not in HV_ONLY]
        if self.hv and "memmap" in own and "hv" in own:
            own.append("hidden-memory")
        return ["boot", *own, self.end]


def _matrix(hv):
    first = "mb1" if hv else "bare"
    boots = HV_BOOTS if hv else BARE_BOOTS
    # each kernel, machine and boot way at least once
    subset = {("6.1", "q35", first), ("6.12", "pc", "grub-bios"), ("6.12", "q35", "grub-uefi"), ("6.1", "pc", first)}
    brief = tuple(n for n in NAMES if n != "soak")
    cases = []
    for k in KERNELS:
        for m in MACHINES:
            for b in boots:
                full = (k, m, b) == ("6.1", "q35", first)
                cases.append(Case(k, m, b, hv, iommu=hv and m == "q35" and b != first,
                                  checks=NAMES if full else brief, default=(k, m, b) in subset))
    few = ("cpus", "interrupts", "clocks", "timerfd", "offline", "dmesg")
    cases.append(Case("6.12", "q35", first, hv, cpus=4, checks=few, tag="4cpu", default=True))
    cases.append(Case("6.1", "pc", first, hv, cpus=1, checks=("cpus", "serial", "interrupts", "sleep", "dmesg"),
                      tag="1cpu"))
    restart = Case("6.1", "q35", first, hv, checks=(), end="reboot", tag="reboot", default=True)
    cases.append(restart)
    for how, word in (("kbd", "k"), ("triple", "t"), ("cf9", "p")):
        cases.append(replace(restart, tag=f"reboot-{how}", append=f"reboot={word},force", default=False))
    cases.append(replace(restart, kernel="6.12", machine="pc", boot="grub-bios", default=False))
    cases.append(replace(restart, kernel="6.12", boot="grub-uefi", default=False))
    cases.append(Case("6.1", "q35", first, hv, checks=("offline", "soak", "dmesg"), tag="soak-short", default=True))
    for k, m in (("6.1", "q35"), ("6.12", "pc")):
        cases.append(Case(k, m, first, hv, checks=("cpus", "soak", "interrupts", "dmesg"), soak=LONG_SOAK, tag="soak"))
    return cases


def matrix(bare=False):
    return _matrix(not bare)


# --- bad input --------------------------------------------------------------

@dataclass(frozen=True)
class Bad:
    """One fault; the hypervisor must name it in a line and must not reset the machine."""
    name: str
    words: str                  # regex of key words in that line
    then: str = "halt"          # "halt", "boots" or "either"
    cpu: str = None             # words that replace +svm,+npt in the CPU model
    hv_options: str = ""
    config: bytes = b""
    omit: tuple = ()
    kernel_edit: str = ""       # "truncated" | "malformed" | "empty" | "tiny"
    cpus: int = 1
    boot: str = "mb1"
    default: bool = True


BAD = (
    Bad("no-svm", r"svm", cpu="-svm,-npt"),
    Bad("no-nested-paging", r"nested paging|npt", cpu="+svm,-npt"),
    Bad("missing-kernel", r"kernel", omit=("kernel",)),
    Bad("missing-kernel-grub", r"kernel", omit=("kernel",), boot="grub-bios"),
    Bad("missing-kernel-uefi", r"kernel", omit=("kernel",), boot="grub-uefi", default=False),
    Bad("missing-initrd", r"initrd", then="either", omit=("initrd",)),
    Bad("no-modules", r"kernel|module", omit=("kernel", "initrd", "config")),
    Bad("truncated-kernel", r"kernel|bzimage|truncated", kernel_edit="truncated"),
    Bad("tiny-kernel", r"kernel|bzimage|truncated", kernel_edit="tiny"),
    Bad("malformed-kernel", r"kernel|bzimage|HdrS", kernel_edit="malformed"),
    Bad("old-protocol-kernel", r"kernel|bzimage|protocol|version", kernel_edit="old"),
    Bad("unknown-option", r"frobnicate|option|unknown key", then="either", hv_options="frobnicate=1"),
    Bad("malformed-option", r"pool|option", then="either", hv_options="pool=banana"),
    Bad("unaligned-pool", r"pool", then="either", hv_options="pool=4097"),
    Bad("bad-config", r"config|option|line", then="either", config=b"pool = 64M\nnonsense here\n"),
    Bad("pool-too-large", r"pool", then="either", hv_options="pool=64G"),
    Bad("pool-all-memory", r"pool|memory", then="either", hv_options="pool=2040M", default=False),
    Bad("too-many-cpus", r"cpu", then="either", cpus=65, default=False),
)
