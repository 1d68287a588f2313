#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: build.sh 6.1|6.12 OUT_DIR
# Build attack.ko for Debian's kernel of one series; OUT_DIR gets attack.ko and the file `release`.
set -eu

if [ $# != 2 ]; then
	echo "usage: build.sh 6.1|6.12 OUT_DIR" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../../hv/root/kbuild.sh" "$1" "$2" "$here" attack
