#!/bin/sh
# Runs every test and ends with a verdict. Usage: test.sh GO
set -u
go=$1
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

for tool in python3 curl mandoc promtool; do
	command -v "$tool" >/dev/null || printf 'note: %s is not installed; what needs it is skipped and says so\n' "$tool"
done
step 'packages' "$go" test -timeout 8m ./lib/... ./cmd/...
step 'stories on the real commands' "$go" test -timeout 8m -v ./testscripts/...
verdict ok
