#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Disk images of a stock Debian 12 guest, made by debootstrap.

    debianimage.py               makes the image of every kernel that guests are tested with, and prints where they are
    debianimage.py 6.1-cloud     only of that kernel

An image is one raw ext4 file system without a partition table, 1 GiB and sparse. Beside it lie the kernel and the
initrd that a virtual machine's definition names: copies of those in the image's own /boot. Images are kept in
${REDOUBT_CACHE:-$HOME/.cache/redoubt}/debian; removing the folder makes them new.

Root rights are needed to make an image (debootstrap, chroot), not to use one.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import images
from images import ImageError

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
LABEL = "redoubt-root"
HOSTNAME = "redoubt-guest"
SIZE_MIB = 1024
KEEP = 6                        # images; older ones go
# What a kernel package asks for (kmod, linux-base, initramfs-tools), and what a test needs to look around.
PACKAGES = ("systemd-sysv", "udev", "dbus", "kmod", "linux-base", "initramfs-tools", "zstd",
            "iproute2", "iputils-ping", "netcat-openbsd")
# Drivers that the initrd must hold, unless they are built into the kernel.
INITRD_MODULES = ("hv_vmbus", "hv_storvsc", "hv_netvsc", "sd_mod", "ext4")
# Documentation and translations, and what apt can fetch again.
DROPPED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/i18n",
           "var/cache/apt/archives", "var/lib/apt/lists", "var/log/bootstrap.log")
PROGRAMS = {"debootstrap": "debootstrap", "mkfs.ext4": "e2fsprogs", "unshare": "util-linux", "chroot": "coreutils"}
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}

FILES = {
    "etc/hostname": f"{HOSTNAME}\n",
    "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {HOSTNAME}\n::1 localhost ip6-localhost\n",
    "etc/fstab": f"LABEL={LABEL} / ext4 errors=remount-ro 0 1\n",
    "etc/apt/sources.list": f"deb {MIRROR} {SUITE} main\n",
    # packed in a second instead of half a minute
    "etc/initramfs-tools/conf.d/redoubt": "COMPRESS=zstd\nCOMPRESSLEVEL=3\n",
}


class NeedsRoot(ImageError):
    """The image is not there yet, and this user cannot make it."""


@dataclass(frozen=True)
class Image:
    folder: Path
    release: str                # of its kernel

    @property
    def disk(self):
        return self.folder / "disk.img"

    @property
    def kernel(self):
        return self.folder / "vmlinuz"

    @property
    def initrd(self):
        return self.folder / "initrd.img"

    def cmdline(self, *words):
        return " ".join(("console=ttyS0", f"root=LABEL={LABEL}", "ro", *words))

    def copy_disk(self, target):
        """A copy that a guest may write to; holes stay holes."""
        _run(["cp", "--sparse=always", "--reflink=auto", str(self.disk), str(target)])
        return target


# --- steps ------------------------------------------------------------------

def _run(args, **kw):
    """Runs a program; its output is shown when it fails."""
    try:
        done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", **kw)
    except FileNotFoundError:
        raise ImageError(f"{args[0]}: not installed (apt-get install {PROGRAMS.get(args[0], args[0])})") from None
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise ImageError(f"{' '.join(map(str, args))} failed with status {done.returncode}:\n{last}")
    return done.stdout


def _contained(args, **kw):
    """As _run(), with mounts and processes of its own: none of either is left behind, whatever happens."""
    return _run(["unshare", "--mount", "--pid", "--fork", "--kill-child", *map(str, args)],
                env={**os.environ, **ENVIRONMENT}, **kw)


def _in_root(root, script):
    return _contained(["sh", "-euc", 'mount -t proc proc "$1/proc"; exec chroot "$1" sh -euc "$2"', "sh", root, script])


class _Progress:
    def __init__(self, name):
        self.name, self.start = name, time.monotonic()

    def __call__(self, text):
        print(f"{self.name}: {text} ({time.monotonic() - self.start:.0f} s)", file=sys.stderr, flush=True)


def _check_rights():
    for program, package in PROGRAMS.items():
        if shutil.which(program, path=ENVIRONMENT["PATH"]) is None:
            raise ImageError(f"{program}: not installed (apt-get install {package})")
    if os.geteuid() != 0:
        raise NeedsRoot("making a Debian image needs root rights (debootstrap, chroot): run "
                        f"'sudo REDOUBT_CACHE={images.cache_dir()} python3 {Path(__file__).resolve()}' once; "
                        "after that any user can run the tests")


def _mirror():
    """Where apt here takes Debian 12 from, else the ordinary place."""
    try:
        text = _run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)",
                     "Created-By: Packages"])
    except ImageError:
        return MIRROR
    found = re.search(rf"^(https?://\S+) {SUITE} main$", text, re.M)
    return found.group(1) if found else MIRROR


def _debs(name, folder):
    """Downloads a kernel's metapackage and the package it stands for."""
    meta = images.GUEST_KERNELS[name]
    package, version = _wanted(name)
    folder.mkdir()
    # apt's own user could not write here; packages are checked against signed lists either way
    _run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", meta, f"{package}={version}"], cwd=folder)
    return sorted(folder.glob("*.deb"))


def _wanted(name):
    """(package, version) of a kernel that apt would install."""
    if name not in images.GUEST_KERNELS:
        raise ImageError(f"no kernel '{name}' (there are: {', '.join(images.GUEST_KERNELS)})")
    found = images._resolve(images.GUEST_KERNELS[name])
    if found is None:
        raise ImageError(f"apt does not know {images.GUEST_KERNELS[name]}: run 'apt-get update' (Debian 12 "
                         "with bookworm-updates or bookworm-security) and try again")
    return found


def _configure(root):
    """What an installer would ask for."""
    for name, text in FILES.items():
        path = root / name
        path.unlink(missing_ok=True)    # a link would lead out of the tree
        path.write_text(text)
    net = root / "usr/local/sbin/redoubt-net"
    shutil.copyfile(images.GUEST / "debiannet.sh", net)
    net.chmod(0o755)
    shutil.copyfile(images.GUEST / "debiannet.service", root / "etc/systemd/system/redoubt-net.service")
    _in_root(root, "passwd -d root; systemctl enable serial-getty@ttyS0.service redoubt-net.service")


def _drop(root):
    for name in DROPPED:
        path = root / name
        if path.is_dir():
            for p in path.iterdir():
                shutil.rmtree(p) if p.is_dir() and not p.is_symlink() else p.unlink()
        else:
            path.unlink(missing_ok=True)


def _digest(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _base_key():
    guest = [(images.GUEST / f"debiannet.{e}").read_text() for e in ("sh", "service")]
    return _digest("v1", SUITE, PACKAGES, DROPPED, sorted(FILES.items()), guest)


def _base(store, say):
    """Path of the archive of a root file system that is complete but for a kernel."""
    final = store / f"base-{_base_key()}.tar"
    if final.exists():
        return final
    with tempfile.TemporaryDirectory(dir=store, prefix="tmp-", ignore_cleanup_errors=True) as work:
        root = Path(work) / "root"
        mirror = _mirror()
        say(f"debootstrap {SUITE} from {mirror}")
        _contained(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, root, mirror])
        say("settings")
        _configure(root)
        _drop(root)
        temp = Path(work) / "base.tar"
        # an archive, because set-user-ID programs in an unpacked tree would be usable on this computer
        _run(["tar", "--numeric-owner", "--xattrs", "-C", str(root), "-cf", str(temp), "."])
        os.replace(temp, final)
    for old in store.glob("base-*.tar"):
        if old != final:
            old.unlink(missing_ok=True)
    return final


def _missing_modules(root, release):
    """Of INITRD_MODULES, those that are neither built in nor in the initrd, as lsinitramfs sees it."""
    listing = _in_root(root, f"lsinitramfs /boot/initrd.img-{release}")
    builtin = (root / "lib/modules" / release / "modules.builtin").read_text()
    return [m for m in INITRD_MODULES
            if not re.search(rf"/{m}\.ko(\.\w+)?$", listing, re.M) and not re.search(rf"/{m}\.ko$", builtin, re.M)]


def _install_kernel(root, debs):
    """Installs the packages, which makes the initrd; returns the kernel's release."""
    inside = root / "var/cache/apt/archives"
    for deb in debs:
        shutil.copyfile(deb, inside / deb.name)
    _in_root(root, "dpkg --force-unsafe-io -i /var/cache/apt/archives/*.deb; rm /var/cache/apt/archives/*.deb")
    kernels = sorted((root / "boot").glob("vmlinuz-*"))
    if len(kernels) != 1:
        raise ImageError(f"{len(kernels)} kernels in /boot after installing {', '.join(d.name for d in debs)}")
    release = kernels[0].name[len("vmlinuz-"):]
    if not (root / "boot" / f"initrd.img-{release}").is_file():
        raise ImageError(f"update-initramfs made no /boot/initrd.img-{release}")
    missing = _missing_modules(root, release)
    if missing:
        raise ImageError(f"initrd.img-{release} lacks {', '.join(missing)}")
    return release


def _make(name, final, say):
    _check_rights()
    store = final.parent
    base = _base(store, say)
    with tempfile.TemporaryDirectory(dir=store, prefix="tmp-", ignore_cleanup_errors=True) as work:
        work = Path(work)
        root, out = work / "root", work / "out"
        root.mkdir()
        out.mkdir()
        say("kernel packages")
        debs = _debs(name, work / "debs")
        _run(["tar", "--numeric-owner", "--xattrs", "-C", str(root), "-xpf", str(base)])
        say("installing " + ", ".join(d.name.split("_")[0] for d in debs))
        release = _install_kernel(root, debs)
        say("file system")
        with open(out / "disk.img", "wb") as f:
            f.truncate(SIZE_MIB << 20)
        _run(["mkfs.ext4", "-q", "-F", "-L", LABEL, "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d", str(root),
              str(out / "disk.img")])
        shutil.copyfile(root / "boot" / f"vmlinuz-{release}", out / "vmlinuz")
        shutil.copyfile(root / "boot" / f"initrd.img-{release}", out / "initrd.img")
        (out / "release").write_text(release + "\n")
        for p in (out, *out.iterdir()):
            p.chmod(0o755 if p.is_dir() else 0o644)
        images._publish(out, final)
    used = (final / "disk.img").stat().st_blocks // 2048
    say(f"done, {used} MiB of {SIZE_MIB} in use")


def _trim(store):
    """Old images go, and what a maker that was killed left behind."""
    old = sorted((p for p in store.glob("image-*") if p.is_dir()), key=lambda p: p.stat().st_mtime)[:-KEEP]
    for p in old:
        shutil.rmtree(p, ignore_errors=True)
    for p in store.glob("tmp-*"):
        if time.time() - p.stat().st_mtime > 86400:
            shutil.rmtree(p, ignore_errors=True)


def image(name):
    """The image with a kernel of images.GUEST_KERNELS, made when it is not there yet."""
    package, version = _wanted(name)
    store = images.cache_dir() / "debian"
    store.mkdir(exist_ok=True)
    final = store / f"image-{package}_{version.replace(':', '%3a')}-{_digest(_base_key(), SIZE_MIB, LABEL)}"
    if not final.is_dir():
        _make(name, final, _Progress(f"debian image {name}"))
        _trim(store)
    return Image(final, (final / "release").read_text().strip())


def main():
    try:
        for name in sys.argv[1:] or images.GUEST_KERNELS:
            made = image(name)
            print(f"{name:10} {made.release:26} {made.folder}")
    except (ImageError, OSError) as e:
        print(f"debianimage: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
