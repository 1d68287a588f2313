# SPDX-License-Identifier: MIT
"""Finds what a build made: redoubt.elf, hvctl and the kernel module per kernel series."""

from pathlib import Path

from machine import SetupError

REPO = Path(__file__).resolve().parent.parent.parent
DEFAULT_BUILD = REPO / "build"
GUEST_PROGRAMS = ("vmmgr", "hvctl", "vmworker", "storvsp", "netvsp", "ic", "hvsock", "console", "vswitch", "redoubt-measure")


class Product:
    """A build folder: <build>/redoubt.elf or <build>/hv/redoubt.elf and what lies beside it."""

    def __init__(self, build=None):
        self.build = Path(build) if build else DEFAULT_BUILD
        self.folder = self.build
        if not (self.folder / "redoubt.elf").is_file() and (self.build / "hv" / "redoubt.elf").is_file():
            self.folder = self.build / "hv"

    def hv(self):
        path = self.folder / "redoubt.elf"
        if not path.is_file():
            raise SetupError(f"no redoubt.elf in {self.build} (nor in its hv/): run 'tools/dev build', "
                             "or choose a way to boot without the hypervisor")
        return path

    def extras(self, series):
        """Files for /x/ in the root: {name: path}; empty when nothing was built."""
        found = {}
        for name in ("hvctl",):
            if (self.folder / name).is_file():
                found[name] = self.folder / name
        for module in sorted((self.folder / "module" / series).glob("*.ko")):
            found[module.name] = module
        return found

    def guest_extras(self, series):
        """As extras(), with what guests need: all must be there."""
        found = self.extras(series)
        for name in GUEST_PROGRAMS:
            found[name] = self.folder / name
            if not found[name].is_file():
                raise SetupError(f"no {name} in {self.folder}: run 'tools/dev build'")
        if "redoubt.ko" not in found:
            raise SetupError(f"no module/{series}/redoubt.ko in {self.folder}: run 'tools/dev build module'")
        return found

    def logs(self):
        return self.build / "system-logs"
