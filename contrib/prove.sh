#!/bin/sh
# Runs the proof that nothing is lost: one line a lane, then a verdict. Usage: prove.sh GO
# RC_PROVE_SEED=N runs it with another seed than the usual one, RC_PROVE_SEED= with one by chance; the lines say which.
set -u
export RC_PROVE_SEED="${RC_PROVE_SEED-1}"
go=$1
began=$(date +%s)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Every lane that has to be seen, by the package that runs it.
lanes='
lib/simulation     simulation mutants clocks
lib/executor       killtree
lib/store          damage
lib/proof/disk     powercut storage
lib/proof/restore  restore
lib/proof          kill_main kill_main_mutants kill_worker network ridethrough linearizable elsewhere files hostile hostile_mutants attackers
'

verdict() {
	printf '\nprove: %s (%s s)\n' "$1" "$(($(date +%s) - began))"
	[ "$1" = ok ]
	exit
}

# prove PACKAGE LANE... runs a package's lanes and shows their lines as they come.
prove() {
	package=$1
	shift
	printf '== %s: %s\n' "$package" "$*"
	{
		RC_PROVE=full "$go" test -count=1 -timeout 20m -v "./$package" 2>&1
		echo "ended $?"
	} | tee "$log" | grep --line-buffered '^LANE '
	if ! grep -q '^ended 0$' "$log"; then
		grep -v -e '^=== ' -e '^--- PASS' -e '^LANE ' "$log" | tail -n 80
		verdict FAILED
	fi
	for lane; do
		grep -q "^LANE $lane " "$log" || {
			printf 'the lane %s was not run:\n' "$lane"
			grep -A 3 -e '--- SKIP' "$log"
			verdict FAILED
		}
	done
}

# The lanes have the machine to themselves, one after another: they measure times.
while read -r package names; do
	# shellcheck disable=SC2086 # names are words
	[ -z "$package" ] || prove "$package" $names </dev/null || exit
done <<LIST
$lanes
LIST
verdict ok
