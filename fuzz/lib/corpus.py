# SPDX-License-Identifier: MIT
"""The common corpus of both engines: seeds and AFL++'s finds are merged into it, and it stays within its share of the disk."""
import hashlib
import os
import shutil

import engines
import fleet
import process
import store as disk


def merge(target, settings, store, into, sources, stop, limit=120.0):
    """libFuzzer's merge: copies the inputs that add coverage. An input on which the target fails is passed over and becomes
    an artifact. Returns (done, artifacts, log)."""
    place = store.folder(target.name, f"artifacts/merge-{os.getpid()}-{id(sources)}")
    log = store.folder(target.name, "logs") / "merge.log"
    argv = [target.libfuzzer, "-merge=1", *engines.libfuzzer_flags(target, settings), f"-artifact_prefix={place}/", into, *sources]
    outcome = process.run(argv, process.environment(settings.out, TMPDIR=str(place)), log, limit, stop=stop)
    text = process.tail(log, 1 << 20)
    process.trim(log)
    for left in place.glob("libFuzzerTemp*"):  # of a merge that was ended
        shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
    found = sorted(p for p in place.iterdir() if p.is_file() and not p.name.startswith("slow-unit-"))
    if not found:
        place.rmdir()
    return outcome.code == 0 and outcome.reason is None, found, text


def take(inbox, paths):
    """Copies inputs into the inbox under the name of their content, each at once."""
    count = 0
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError:
            continue
        name = inbox / hashlib.sha1(data).hexdigest()
        if not name.exists():
            disk.write(name, data)
            count += 1
    return count


def collect(target, role, settings, store):
    """Puts what an instance of AFL++ has found into the inbox."""
    entry, name = store.target(target.name), engines.afl_name(role, settings)
    folder = engines.afl_folder(target, settings, store) / name
    paths, last = engines.afl_new(folder, entry["afl_seen"].get(name, -1), settings.host)
    count = take(store.folder(target.name, "inbox"), paths)
    entry["afl_seen"][name] = last
    return count


def empty_inbox(target, settings, store, stop):
    """Merges the inbox into the corpus. Returns artifacts and log of the merge."""
    inbox = store.folder(target.name, "inbox")
    if not target.libfuzzer:  # AFL++ alone: its queue is the corpus
        return [], ""
    names = [p for p in inbox.iterdir() if not p.name.startswith(".")]
    if not names:
        return [], ""
    done, artifacts, text = merge(target, settings, store, store.folder(target.name, "corpus"), [inbox], stop)
    if done:
        for path in names:
            path.unlink(missing_ok=True)
    return artifacts, text


def plant(target, settings, store, stop):
    """The first time: the seeds enter the corpus. Returns artifacts and log."""
    if not target.corpus or not target.corpus.is_dir():
        return [], ""
    corpus = store.folder(target.name, "corpus")
    if target.libfuzzer:
        _, artifacts, text = merge(target, settings, store, corpus, [target.corpus], stop)
        if any(corpus.iterdir()) or artifacts:
            return artifacts, text
    take(corpus, [p for p in target.corpus.iterdir() if p.is_file()])
    return [], ""


def minimise(target, settings, store, stop):
    """Replaces the corpus by the part of it that has all its coverage. False: it was ended before."""
    corpus = store.folder(target.name, "corpus")
    fresh = store.out / target.name / "corpus.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    done, artifacts, text = merge(target, settings, store, fresh, [corpus], stop, 600.0)
    if done and any(fresh.iterdir()):
        old = store.out / target.name / "corpus.old"
        shutil.rmtree(old, ignore_errors=True)
        corpus.rename(old)
        fresh.rename(corpus)
        shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(fresh, ignore_errors=True)
    return done, artifacts, text


def recover(store, name):
    """After a kill in the middle of minimise(): one of the three folders has the whole corpus."""
    folder = store.out / name
    old = folder / "corpus.old"
    if old.exists() and not (folder / "corpus").exists():
        old.rename(folder / "corpus")
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(folder / "corpus.new", ignore_errors=True)
    for left in folder.glob("*/.*.part"):
        left.unlink()
    for left in (folder / "logs").glob("libfuzzer-*.log"):
        left.unlink()


def drop_largest(folder, limit):
    """Removes the largest inputs of a folder until it has at most `limit` bytes. How many went."""
    files = sorted(((p.stat().st_blocks * 512, p) for p in folder.iterdir() if p.is_file()), key=lambda f: f[0])
    total, count = sum(f[0] for f in files), 0
    while files and total > limit:
        bytes_, path = files.pop()
        path.unlink(missing_ok=True)
        total, count = total - bytes_, count + 1
    return count


def keep_small(target, settings, store, quota, stop, force=False):
    """Keeps a target's folder below its quota. Nothing of the target runs. Returns what was done, artifacts, log."""
    corpus, entry = store.folder(target.name, "corpus"), store.target(target.name)
    bytes_, files = disk.usage(corpus)
    mine = fleet.own(engines.afl_folder(target, settings, store), settings)

    def size():  # in a fleet the folder of AFL++ is elsewhere
        return disk.usage(store.out / target.name)[0] + sum(disk.usage(p)[0] for p in mine if settings.fleet)

    says, artifacts, text = [], [], ""
    if not force and size() <= quota and files <= 2 * entry["baseline"] + 1000:
        return says, artifacts, text
    if target.libfuzzer:
        done, artifacts, text = minimise(target, settings, store, stop)
        after = disk.usage(corpus)
        if done:
            says.append(f"corpus minimised from {files} inputs to {after[1]}")
        bytes_, entry["baseline"] = after
    if bytes_ > quota // 2:
        says.append(f"{drop_largest(corpus, quota // 2)} largest inputs removed: quota")
    if size() > quota:
        # Its finds are in the corpus already; it starts from there again. Other hosts' folders are theirs.
        for folder in mine:
            shutil.rmtree(folder, ignore_errors=True)
            entry["afl_seen"].pop(folder.name, None)
        shutil.rmtree(store.out / target.name / "artifacts", ignore_errors=True)
        says.append("AFL++ starts again from the corpus: quota")
    return says, artifacts, text
