#!/bin/sh
# Runs every test and ends with a verdict. Usage: test.sh GO
set -u
go=$1
export RC_PROVE_SEED="${RC_PROVE_SEED-1}" # what is drawn by chance is drawn the same way every time
began=$(date +%s)

step() {
	printf '== %s\n' "$1"
	shift
	"$@" || verdict FAILED
}

verdict() {
	printf '\ntest: %s (%s s)\n' "$1" "$(($(date +%s) - began))"
	[ "$1" = ok ]
	exit
}

for tool in python3 curl w3m lynx sqlite3 mandoc promtool; do
	command -v "$tool" >/dev/null || printf 'note: %s is not installed; what needs it is skipped and says so\n' "$tool"
done
# The small part of the proof runs by itself: it measures times.
# shellcheck disable=SC2046 # names are words
step 'packages' "$go" test -timeout 20m $("$go" list ./lib/... ./cmd/... | grep -v /lib/proof)
step 'a small part of the proof' "$go" test -timeout 20m -p 1 ./lib/proof/...
step 'stories on the real commands' "$go" test -timeout 20m -v ./testscripts/...
step 'pages in a browser' sh -c "cd testscripts/browser && '$go' test -timeout 20m -v ./..."
verdict ok
