#!/bin/bash -eu
# SPDX-License-Identifier: MIT
# Builds all fuzz targets as OSS-Fuzz and ClusterFuzzLite ask: with $CC, $CXX, $CFLAGS, $CXXFLAGS and $LIB_FUZZING_ENGINE, into $OUT.
# $SRC/redoubt is the source, $WORK a scratch folder. TARGETS, which OSS-Fuzz does not set, names some of them (fuzz/oss-fuzz/check).
build=$WORK/redoubt
cmake -G Ninja -S "$SRC/redoubt" -B "$build" -DREDOUBT_HV=OFF -DREDOUBT_FUZZ=ON -DREDOUBT_ENGINE=custom \
	-DCMAKE_C_COMPILER="$CC" -DCMAKE_ASM_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" \
	-DCMAKE_C_FLAGS="$CFLAGS" -DCMAKE_CXX_FLAGS="$CXXFLAGS"
names=${TARGETS:-}
if [ -n "$names" ]; then
	# shellcheck disable=SC2046,SC2086
	ninja -C "$build" $(printf 'fuzz_%s ' $names) $(printf 'seeds_%s ' $names)
else
	ninja -C "$build"
	names=$(cd "$build" && for f in fuzz_*.options; do f=${f#fuzz_}; echo "${f%.options}"; done)
fi
for name in $names; do
	cp "$build/fuzz_$name" "$build/fuzz_$name.options" "$build/fuzz_${name}_seed_corpus.zip" "$OUT/"
	[ ! -e "$build/fuzz_$name.dict" ] || cp "$build/fuzz_$name.dict" "$OUT/"
done
