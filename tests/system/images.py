# SPDX-License-Identifier: MIT
"""What a test machine boots: Debian's own kernel packages and an initramfs.

Everything is kept in ${REDOUBT_CACHE:-$HOME/.cache/redoubt}. Each entry is
built under a temporary name and renamed, so two processes may build at once.

    python3 images.py            prepares both kernels and prints what is there
"""

import gzip
import hashlib
import io
import lzma
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
GUEST = HERE / "guest"

# name used on our command lines -> Debian's metapackage
KERNELS = {"6.1": "linux-image-amd64", "6.12": "linux-image-6.12-amd64"}
# What guests run: the same, and the flavour for virtual machines.
GUEST_KERNELS = {**KERNELS, "6.1-cloud": "linux-image-cloud-amd64", "6.12-cloud": "linux-image-6.12-cloud-amd64"}

# Modules that a root needs on the test machines; what they depend on follows.
MODULES = (
    "scsi_mod", "sd_mod", "libata", "ahci", "ata_piix",
    "virtio_pci", "virtio_blk", "virtio_net", "e1000", "msr", "cpuid",
)

# Modules that a guest on VMBus needs: all are Debian's own.
GUEST_MODULES = ("hv_vmbus", "hv_utils", "scsi_mod", "sd_mod", "hv_storvsc", "hv_netvsc", "crc32c_generic", "ext4")
# And the root of a machine with guests, besides MODULES.
HOST_MODULES = ("tun", "crc32c_generic", "ext4", "loop")

APPLETS = (
    "sh ash cat echo grep sed awk cut tr head tail sort uniq wc tee sleep ls mkdir mount "
    "umount mknod ln cp mv rm insmod rmmod lsmod dmesg ip ifconfig udhcpc ping nc poweroff "
    "reboot halt hwclock date uname nproc free ps top kill dd hexdump od md5sum sha256sum "
    "cmp test [ true false env printf seq timeout setsid cttyhack taskset sync stat find "
    "switch_root vi more less df du time uptime which basename dirname expr chmod blockdev lspci"
).split()


class ImageError(Exception):
    """Something needed could not be had; the text names the remedy."""


def cache_dir():
    base = os.environ.get("REDOUBT_CACHE")
    path = Path(base) if base else Path.home() / ".cache" / "redoubt"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _run(args, **kw):
    try:
        return subprocess.run(args, check=True, text=True, capture_output=True, **kw).stdout
    except FileNotFoundError:
        raise ImageError(f"{args[0]}: not installed (apt-get install it)") from None
    except subprocess.CalledProcessError as e:
        detail = (e.stderr or e.stdout or "").strip().splitlines()[-3:]
        raise ImageError(f"{' '.join(map(str, args))} failed: {' / '.join(detail)}") from None


def _publish(temp, final):
    """Renames a finished tree or file to its name; the first one wins."""
    try:
        os.rename(temp, final)
    except OSError:
        if not final.exists():
            raise
        shutil.rmtree(temp, ignore_errors=True)
    return final


def _write_once(final, data, mode=0o644):
    fd, name = tempfile.mkstemp(dir=final.parent, prefix=final.name + ".")
    with os.fdopen(fd, "wb") as f:
        f.write(data)
    os.chmod(name, mode)
    os.replace(name, final)
    return final


# --- kernel packages --------------------------------------------------------

class Kernel:
    """One unpacked kernel package."""

    def __init__(self, tree):
        self.tree = Path(tree)
        images = sorted((self.tree / "boot").glob("vmlinuz-*"))
        if len(images) != 1:
            raise ImageError(f"{tree}: {len(images)} kernels in boot/; remove the folder and run again")
        self.image = images[0]
        self.release = images[0].name[len("vmlinuz-"):]
        self.modules = self.tree / "lib" / "modules" / self.release
        if not self.modules.is_dir():
            self.modules = self.tree / "usr" / "lib" / "modules" / self.release
        self._index = None

    def find(self, name):
        """Path of a module, or None when it is built in or absent."""
        if self._index is None:
            self._index = {}
            for p in self.modules.rglob("*.ko*"):
                self._index[p.name.split(".ko")[0].replace("-", "_")] = p
        return self._index.get(name.replace("-", "_"))

    def read_module(self, name):
        path = self.find(name)
        data = path.read_bytes()
        if path.suffix == ".xz":
            return lzma.decompress(data)
        if path.suffix == ".gz":
            return gzip.decompress(data)
        if path.suffix == ".zst":
            return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
        return data

    def closure(self, names):
        """(name, data) of modules in load order; built-in ones are left out."""
        done, order = set(), []

        def visit(name):
            name = name.replace("-", "_")
            if name in done:
                return
            done.add(name)
            if self.find(name) is None:
                return
            data = self.read_module(name)
            for dep in _module_field(data, b"depends"):
                visit(dep)
            order.append((name, data))

        for n in names:
            visit(n)
        return order


def _module_field(data, key):
    found = re.search(rb"\0" + key + rb"=([^\0]*)\0", data)
    return [w for w in found.group(1).decode().split(",") if w] if found else []


def _resolve(meta):
    """_ask_apt(), remembered until apt's package lists change."""
    try:
        stamp = os.stat("/var/lib/apt/lists").st_mtime_ns
    except OSError:
        return _ask_apt(meta)
    note = cache_dir() / f"apt-{meta}"
    try:
        when, package, version = note.read_text().split()
        if int(when) == stamp:
            return package, version
    except (OSError, ValueError):
        pass
    answer = _ask_apt(meta)
    if answer:
        _write_once(note, f"{stamp} {answer[0]} {answer[1]}\n".encode())
    return answer


def _ask_apt(meta):
    """Metapackage -> (package, version) that apt would install, or None."""
    try:
        text = _run(["apt-cache", "show", "--no-all-versions", meta])
    except ImageError:
        return None
    found = re.search(r"^Depends:.*?(linux-image-[^\s,(]+)", text, re.M)
    if not found:
        return None
    try:
        text = _run(["apt-cache", "show", "--no-all-versions", found.group(1)])
    except ImageError:
        return None
    version = re.search(r"^Version: (\S+)", text, re.M)
    return (found.group(1), version.group(1)) if version else None


def _from_folder(name, folder):
    pattern = r"linux-image-%s\.\d.*_amd64\.deb$" % re.escape(name)
    debs = [p for p in sorted(Path(folder).glob("linux-image-*_amd64.deb")) if re.match(pattern, p.name)]
    return debs[-1] if debs else None


def kernel(name):
    """The unpacked kernel package for '6.1' or '6.12', downloaded when needed."""
    if name not in GUEST_KERNELS:
        raise ImageError(f"no kernel '{name}' (there are: {', '.join(GUEST_KERNELS)})")
    root = cache_dir() / "kernels"
    root.mkdir(exist_ok=True)
    deb, key = None, None
    if os.environ.get("REDOUBT_DEBS"):
        deb = _from_folder(name, os.environ["REDOUBT_DEBS"])
        if deb:
            key = deb.name.rsplit("_", 1)[0]
    if key is None:
        wanted = _resolve(GUEST_KERNELS[name])
        if wanted:
            key = f"{wanted[0]}_{wanted[1]}"
    if key is None:
        # apt knows nothing here (no package lists): an older copy will do
        old = sorted(p for p in root.glob(f"linux-image-{name}.*") if "." not in p.suffix[1:2])
        old = [p for p in old if (p / "boot").is_dir()]
        if old:
            return Kernel(old[-1])
        raise ImageError(f"apt does not know {GUEST_KERNELS[name]}: run 'apt-get update' (Debian 12 "
                         "with bookworm-updates or bookworm-security) and try again")
    final = root / key.replace(":", "%3a")
    if final.is_dir():
        return Kernel(final)
    work = Path(tempfile.mkdtemp(dir=root, prefix="tmp-"))
    try:
        if deb is None:
            print(f"downloading {key} ...", file=sys.stderr)
            pkg, version = key.split("_", 1)
            _run(["apt-get", "download", "-q", f"{pkg}={version}"], cwd=work)
            deb = next(work.glob("*.deb"))
        tree = work / "tree"
        _run(["dpkg-deb", "-x", str(deb), str(tree)])
        Kernel(tree)
        _publish(tree, final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Kernel(final)


# --- guest programs ---------------------------------------------------------

def guest_program(source):
    """Compiles one static C program for the root; returns the file's bytes."""
    src = source if isinstance(source, Path) else GUEST / source
    cc = os.environ.get("GUEST_CC", "gcc")
    flags = ["-static", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-pthread", f"-I{GUEST.parents[2]}"]
    text = src.read_bytes() + b"".join(h.read_bytes() for h in sorted(src.parent.glob("*.h")))
    key = hashlib.sha256(" ".join([cc, *flags[:-1]]).encode() + b"\0" + text).hexdigest()[:16]
    folder = cache_dir() / "programs"
    folder.mkdir(exist_ok=True)
    final = folder / f"{src.stem}-{key}"
    if not final.exists():
        fd, temp = tempfile.mkstemp(dir=folder, prefix="tmp-")
        os.close(fd)
        try:
            _run([cc, *flags, "-o", temp, str(src)])
            os.chmod(temp, 0o755)
            os.replace(temp, final)
        except BaseException:
            Path(temp).unlink(missing_ok=True)    # ld removes what it could not make
            raise
    return final.read_bytes()


def _has_interpreter(elf):
    """Whether a 64-bit ELF program asks for a dynamic loader (PT_INTERP = 3)."""
    off, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    return any(struct.unpack_from("<I", elf, off + i * size)[0] == 3 for i in range(count))


def busybox():
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path):
            data = Path(path).read_bytes()
            if _has_interpreter(data):
                raise ImageError("busybox is not the static one: apt-get install busybox-static")
            return data
    raise ImageError("no busybox: apt-get install busybox-static")


# --- initramfs --------------------------------------------------------------

class Cpio:
    """Writes the 'newc' archive that the kernel unpacks; needs no root rights."""

    def __init__(self):
        self.out = io.BytesIO()
        self.ino = 0
        self.dirs = set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.ino += 1
        raw = name.encode() + b"\0"
        fields = (self.ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0)
        self.out.write(b"070701" + b"".join(b"%08x" % f for f in fields) + raw)
        self.out.write(b"\0" * (-self.out.tell() % 4))
        self.out.write(data)
        self.out.write(b"\0" * (-self.out.tell() % 4))

    def mkdir(self, name):
        name = name.strip("/")
        if not name or name in self.dirs:
            return
        self.mkdir(os.path.dirname(name))
        self.dirs.add(name)
        self._entry(name, 0o040755)

    def add(self, name, data, mode=0o644):
        name = name.strip("/")
        self.mkdir(os.path.dirname(name))
        self._entry(name, 0o100000 | mode, data)

    def link(self, name, target):
        name = name.strip("/")
        self.mkdir(os.path.dirname(name))
        self._entry(name, 0o120777, target.encode())

    def node(self, name, major, minor):
        self.mkdir(os.path.dirname(name.strip("/")))
        self._entry(name.strip("/"), 0o020600, rdev=(major, minor))

    def finish(self):
        self._entry("TRAILER!!!", 0)
        self.out.write(b"\0" * (-self.out.tell() % 512))
        return self.out.getvalue()


def initramfs(kern, extra=None, init=None, programs=("roottest.c", "roottime.c"), modules=MODULES):
    """Path of a gzip'd initramfs for a kernel.

    extra: {name below /x/ (or an absolute name): bytes or path} added to it;
    init: what becomes /init (default guest/init.sh); modules: which to load at once.
    """
    files = {}
    for name, value in sorted((extra or {}).items()):
        target = name if name.startswith("/") else f"/x/{name}"
        files[target] = value if isinstance(value, bytes) else Path(value).read_bytes()
    init_data = init if isinstance(init, bytes) else Path(init or GUEST / "init.sh").read_bytes()
    progs = {Path(p).stem: guest_program(p) for p in programs}
    bb = busybox()

    digest = hashlib.sha256()
    for part in (b"v5", kern.tree.name.encode(), " ".join(modules).encode(), " ".join(APPLETS).encode(), bb,
                 init_data):
        digest.update(hashlib.sha256(part).digest())
    for name, data in [*sorted(progs.items()), *sorted(files.items())]:
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    folder = cache_dir() / "initramfs"
    folder.mkdir(exist_ok=True)
    final = folder / f"{kern.release}-{digest.hexdigest()[:20]}.cpio.gz"
    if final.exists():
        os.utime(final)
        return final

    c = Cpio()
    for d in ("dev", "proc", "sys", "tmp", "run", "mnt", "etc", "m", "x"):
        c.mkdir(d)
    c.node("dev/console", 5, 1)
    c.node("dev/null", 1, 3)
    c.node("dev/ttyS0", 4, 64)
    c.add("init", init_data, 0o755)
    c.add("bin/busybox", bb, 0o755)
    for applet in APPLETS:
        c.link(f"bin/{applet}", "busybox")
    c.link("sbin", "bin")
    for name, data in progs.items():
        c.add(f"bin/{name}", data, 0o755)
    order = kern.closure(modules)
    for name, data in order:
        c.add(f"m/{name}.ko", data)
    c.add("m/list", "".join(f"{n}\n" for n, _ in order).encode())
    dhcp = GUEST / "udhcpc.sh"
    if dhcp.exists():
        c.add("etc/udhcpc.sh", dhcp.read_bytes(), 0o755)
    for name, data in files.items():
        c.add(name, data, 0o644 if name.endswith(".ko") else 0o755)
    _trim(folder, 40)
    return _write_once(final, gzip.compress(c.finish(), compresslevel=1, mtime=0))


def guest_initramfs(kern, extra=None, modules=()):
    """A guest's: the Hyper-V drivers of its own kernel (and further modules), and guest/vminit.sh."""
    return initramfs(kern, extra, GUEST / "vminit.sh", ("vmtest.c",), GUEST_MODULES + tuple(modules))


def guest_disk(mib=48):
    """A disk image with a small root file system (ext4): busybox and the checks. The guest's initramfs turns to it with vmroot=DEVICE."""
    init, test, bb = (GUEST / "vminit.sh").read_bytes(), guest_program("vmtest.c"), busybox()
    digest = hashlib.sha256(b"v1" + hashlib.sha256(init).digest() + hashlib.sha256(test).digest()
                            + hashlib.sha256(bb).digest() + " ".join(APPLETS).encode() + str(mib).encode()).hexdigest()
    folder = cache_dir() / "disks"
    folder.mkdir(exist_ok=True)
    final = folder / f"guest-{digest[:20]}.img"
    if final.exists():
        return final
    work = Path(tempfile.mkdtemp(dir=folder, prefix="tmp-"))
    try:
        tree = work / "tree"
        for d in ("bin", "dev", "proc", "sys", "tmp", "run", "mnt", "etc"):
            (tree / d).mkdir(parents=True)
        for name, data in (("bin/busybox", bb), ("bin/vmtest", test), ("init", init)):
            (tree / name).write_bytes(data)
            (tree / name).chmod(0o755)
        for applet in APPLETS:
            (tree / "bin" / applet).symlink_to("busybox")
        (tree / "sbin").symlink_to("bin")
        (tree / "etc" / "hostname").write_text("redoubt-guest\n")
        image = work / "disk.img"
        with open(image, "wb") as f:
            f.truncate(mib << 20)
        _run(["mkfs.ext4", "-q", "-F", "-L", "guest", "-d", str(tree), str(image)])
        os.replace(image, final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final


def _trim(folder, keep):
    """Drops the oldest entries, so that rebuilt test programs do not fill the disk."""
    old = sorted(folder.glob("*.cpio.gz"), key=lambda p: p.stat().st_mtime)[:-keep]
    for p in old:
        p.unlink(missing_ok=True)


def main():
    try:
        for name in KERNELS:
            k = kernel(name)
            ird = initramfs(k)
            print(f"{name:5} {k.release:26} {k.image}")
            print(f"{'':5} initramfs {ird.stat().st_size / 1e6:.1f} MB {'':8} {ird}")
    except ImageError as e:
        print(f"images: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
