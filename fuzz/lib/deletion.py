# SPDX-License-Identifier: MIT
"""Check deletion."""


def run(a, kept):
    raise NotImplementedError
