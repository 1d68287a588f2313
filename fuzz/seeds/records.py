# SPDX-License-Identifier: MIT
"""What the seed scripts share: records of a session (fuzz/script.h), and where seeds go."""
import pathlib

CORPUS = pathlib.Path(__file__).resolve().parents[1] / "corpus"


def record(data):
    assert len(data) < 256
    return bytes([len(data)]) + data


def write(target, seeds):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds:
        (folder / name).write_bytes(data)
