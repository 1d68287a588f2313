#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: build.sh 6.1|6.12 OUT_DIR
# Build redoubt.ko for Debian's kernel of one series; OUT_DIR gets redoubt.ko and the file `release`
# that names the
# kernel it fits. The source tree is not written to.
set -eu

if [ $# != 2 ]; then
	echo "usage: build.sh 6.1|6.12 OUT_DIR" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/kbuild.sh" "$1" "$2" "$here" redoubt
