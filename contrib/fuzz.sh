#!/bin/sh
# Runs every fuzz target of the project for a while, as many at a time as there are processors, one line each, and ends with a verdict.
# The targets are asked for, so that none is forgotten. Usage: fuzz.sh GO TIME
set -u

# one runs a target. What it finds stays in testdata/fuzz of its package, to be kept as a test.
one() {
	go=$1 time=$2 package=${3%:*} name=${3#*:}
	for try in 1 2; do
		out=$("$go" test "$package" -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 1s -parallel 1 2>&1) && break
		# On a busy machine Go now and then takes the end of the time for a failure.
		printf '%s\n' "$out" | grep -q 'context deadline exceeded' && [ "$try" = 1 ] && continue
		printf '  FAILED %s %s\n%s\n' "${package##*/}" "$name" "$(printf '%s\n' "$out" | grep -v '^fuzz: elapsed' | head -n 40)"
		exit 1
	done
	printf '  %-9s %-20s %s\n' "${package##*/}" "$name" "$(printf '%s\n' "$out" | sed -n 's/.*execs: \([0-9]*\).*/\1 inputs/p' | tail -n 1)"
}

if [ "$1" = --one ]; then
	shift
	one "$@"
	exit 0
fi

go=$1 time=$2
began=$(date +%s)

# The targets of a package stand before the line that says it is ok.
list=$("$go" test -list '^Fuzz' ./lib/... ./cmd/... ./testscripts/...) || {
	printf '%s\n\nfuzz: FAILED: the targets cannot be listed\n' "$list"
	exit 1
}
targets=$(printf '%s\n' "$list" | awk '/^Fuzz/ { names[n++] = $1 } /^ok/ { for (i = 0; i < n; i++) print $2 ":" names[i]; n = 0 }')
count=$(printf '%s\n' "$targets" | grep -c :)
if [ "$count" = 0 ]; then
	printf 'fuzz: FAILED: there are no targets\n'
	exit 1
fi
printf '== %s targets, %s each\n' "$count" "$time"
verdict=ok
printf '%s\n' "$targets" | xargs -P "$(getconf _NPROCESSORS_ONLN)" -I '{}' "$0" --one "$go" "$time" '{}' || verdict=FAILED
printf '\nfuzz: %s (%s targets, %s s)\n' "$verdict" "$count" "$(($(date +%s) - began))"
[ "$verdict" = ok ]
