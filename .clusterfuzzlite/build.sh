#!/bin/bash -eu
# SPDX-License-Identifier: MIT
exec "$SRC/redoubt/fuzz/oss-fuzz/build.sh"
