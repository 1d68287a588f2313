#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: headers.sh 6.1|6.12
# Fetch Debian's kernel headers of one series into the cache (nothing is installed) and print two
# words: the directory
# to give to kbuild as KDIR, and the kernel release that modules built with it fit.
# REDOUBT_KERNEL_RELEASE (for example 6.1.0-56-amd64) chooses another release than the newest one
# that apt knows.
set -eu

die() {
	echo "headers.sh: $*" >&2
	exit 1
}

newest_release() {
	case $1 in
	6.1) pattern='linux-headers-6\.1\.0-[0-9]*-amd64' ;;
	6.12) pattern='linux-headers-6\.12\.[0-9]*+deb12-amd64' ;;
	*) die "$1: no such kernel series: say 6.1 or 6.12" ;;
	esac
	apt-cache pkgnames linux-headers-6 | grep -x "$pattern" | sort -V | tail -n 1 |
		sed 's/^linux-headers-//'
}

# The packages that belong to one release: headers for the architecture, headers in common, host
# programs.
packages() {
	apt-cache depends --no-suggests --no-recommends "linux-headers-$1" | tr -d ' |<>' |
		sed -n 's/^Depends:\(linux-headers-.*-common\)$/\1/p; s/^Depends:\(linux-kbuild-.*\)$/\1/p'
	echo "linux-headers-$1"
}

fetch() (
	release=$1 directory=$2
	work=$(mktemp -d "$directory.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	cd "$work"
	sandbox=
	if [ "$(id -u)" = 0 ]; then
		sandbox='-o APT::Sandbox::User=root'
	fi
	# shellcheck disable=SC2046,SC2086 # lists of words
	apt-get $sandbox -qq download $(packages "$release") >&2 ||
		die "cannot download the headers of $release: is the network up, did apt-get update run?"
	for package in *.deb; do
		dpkg-deb -x "$package" tree
	done
	# Debian's Makefile includes the common one by its installed name.
	sed -i "s|/usr/src/|$directory/usr/src/|" "tree/usr/src/linux-headers-$release/Makefile"
	mv tree "$directory"
)

[ $# = 1 ] || die "usage: headers.sh 6.1|6.12"
release=${REDOUBT_KERNEL_RELEASE:-$(newest_release "$1")}
[ -n "$release" ] || die "apt knows no linux-headers of $1: run apt-get update (Debian 12 with security updates)"
cache=${REDOUBT_CACHE:-$HOME/.cache/redoubt}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
directory=$cache/headers-$release
(
	flock 9
	[ -d "$directory" ] || fetch "$release" "$directory"
) 9>"$cache/headers.lock"
kdir=$directory/usr/src/linux-headers-$release
[ -f "$kdir/Makefile" ] || die "$kdir/Makefile: missing: remove $directory and run again"
echo "$kdir $release"
