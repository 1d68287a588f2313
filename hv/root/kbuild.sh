#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: kbuild.sh 6.1|6.12 OUT_DIR SOURCE_DIR MODULE
# What build.sh of each module does: copy the sources (kbuild writes beside them), build, strip, and
# fail on any warning.
set -eu

series=$1 out=$2 source=$3 module=$4
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
for tool in make gcc-12 x86_64-linux-gnu-gcc-12 objcopy flock; do
	command -v "$tool" >/dev/null || {
		echo "kbuild.sh: $tool: not found: apt-get install make gcc-12 binutils util-linux" >&2
		exit 1
	}
done
found=$("$here/headers.sh" "$series")
kdir=${found% *}
release=${found##* }

mkdir -p "$out"
out=$(cd "$out" && pwd)
copy=$out/obj
rm -rf "$copy"
# The same places as in the source tree, so that #include "hv/abi/..." means the same.
inside=$copy/${source#"$root"/}
mkdir -p "$copy/hv" "$inside"
cp -R "$root/hv/abi" "$copy/hv/"
cp "$source"/*.[ch] "$source/Kbuild" "$inside/"

# No BTF: it needs pahole, and nothing reads it.
make -C "$kdir" M="$inside" W=1 KCFLAGS="-Werror -ffile-prefix-map=$copy=." \
	CONFIG_DEBUG_INFO_BTF_MODULES= modules >"$out/build.log" 2>&1 || {
	cat "$out/build.log" >&2
	exit 1
}
if grep -i 'warning' "$out/build.log" >&2; then
	echo "kbuild.sh: $module.ko: warnings above; see $out/build.log" >&2
	exit 1
fi
objcopy --strip-debug "$inside/$module.ko" "$out/$module.ko"
echo "$release" >"$out/release"
echo "$out/$module.ko for Linux $release"
