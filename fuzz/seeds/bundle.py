#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Small bundles, made of the real ones: every part is there and is cut short, so that a change of one byte meets a check."""
from pathlib import Path

import cbor2

HERE = Path(__file__).resolve().parents[1] / "corpus/bundle"


def short(value, most):
    """Byte strings cut, lists of PCR values with one entry each."""
    if isinstance(value, bytes):
        return value[:most]
    if isinstance(value, dict):
        return {k: short(v, most) for k, v in value.items()}
    return value


def main():
    for name in ("host", "vm", "cert"):
        bundle = cbor2.loads((HERE / name).read_bytes())
        values = bundle[3][4][:2]
        small = short(bundle, 6)
        small[3][4], small[4] = values, bundle[4]
        (HERE / f"small-{name}").write_bytes(cbor2.dumps(small))


main()
