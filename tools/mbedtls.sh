#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: mbedtls.sh
# Fetch Debian's source package of mbedtls into the cache, once, and print the directory that has its `library` and
# `include`. The library of libmbedtls-dev cannot go into the hypervisor: it uses SSE and the C library.
# The archive is the one that configured Debian mirrors hold; apt verifies Debian's signature, and this script the
# checksum of the upstream archive, which is compiled as it is.
set -eu

version=2.28.3
sum=3b4953aa55a681e084d31892d9904cc5328d6b4958ea57b90ae4b4f94ae69a8d

die() {
	echo "mbedtls.sh: $*" >&2
	exit 1
}

[ $# = 0 ] || die "usage: mbedtls.sh"
cache=${REDOUBT_CACHE:-$HOME/.cache/redoubt}
directory=$cache/mbedtls-$version
if [ ! -e "$directory/library/ecp.c" ]; then
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/mbedtls.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	# Every configured Debian archive, with its source packages; nothing of the machine's own lists is changed.
	apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(ORIGIN) $(COMPONENT)' 'Created-By: Packages' |
		awk '$3 == "Debian" && $4 == "main" { print "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]", $1, $2, $4 }' |
		sort -u >"$work/sources.list"
	[ -s "$work/sources.list" ] || die "apt knows no Debian archive: run apt-get update"
	mkdir -p "$work/lists/partial"
	sandbox=
	if [ "$(id -u)" = 0 ]; then
		sandbox='-o APT::Sandbox::User=root'
	fi
	apt="apt-get -qq $sandbox -o Dir::Etc::SourceList=$work/sources.list -o Dir::Etc::SourceParts=/dev/null
		-o Dir::State::Lists=$work/lists"
	# shellcheck disable=SC2086 # a list of words
	$apt update >&2 || die "apt-get update failed: is the network up?"
	# shellcheck disable=SC2086
	(cd "$work" && $apt source --download-only mbedtls >&2) || die "apt has no source package of mbedtls"
	archive=$work/mbedtls_$version.orig.tar.gz
	[ -e "$archive" ] || die "Debian's mbedtls is no longer $version: change the version and the checksum in this script"
	echo "$sum  $archive" | sha256sum --check --quiet >&2 || die "the checksum of mbedtls $version is wrong"
	mkdir "$work/tree"
	tar -C "$work/tree" --strip-components=1 -xzf "$archive"
	# Another run may have been faster.
	mv -T "$work/tree" "$directory" 2>/dev/null || [ -e "$directory/library/ecp.c" ] || die "cannot write $directory"
fi
cd "$directory" && pwd
