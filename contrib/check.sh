#!/bin/sh
# Checks that need no cluster, and the packages' tests under the race detector. Usage: check.sh GO STATICCHECK
set -u
go=$1
staticcheck=$2
failed=

step() {
	printf '== %s\n' "$1"
	shift
	"$@" || {
		failed="$failed, $1"
		printf '   ^ failed\n'
	}
}

formatted() {
	out=$(gofmt -l cmd lib testscripts contrib)
	[ -z "$out" ] || {
		printf 'not formatted:\n%s\n' "$out"
		return 1
	}
}

tidy() { "$go" mod tidy -diff; }

# need TOOL PACKAGE: a check that is left out says so; .ci/run installs all of them.
need() {
	command -v "$1" >/dev/null || {
		printf '   left out: %s is not installed (Debian package %s)\n' "$1" "$2"
		return 1
	}
}

pages() { (cd man && mandoc -Tlint -Wwarning ./*.[1-8]); }

# scripts are the files whose first line says so.
scripts() {
	git ls-files -co --exclude-standard | while IFS= read -r f; do
		if head -n 1 "$f" 2>/dev/null | grep -qaE '^#!.*[/ ](ba|da)?sh'; then printf '%s\n' "$f"; fi
	done | xargs shellcheck
}

units() {
	for u in systemd/*.service; do
		case $u in
		*rc-workerd*) most=30 ;;
		*) most=15 ;;
		esac
		systemd-analyze security --no-pager --offline=true --threshold="$most" "$u" >/dev/null || {
			printf '%s: exposed more than %s/10\n' "$u" "$most"
			return 1
		}
	done
}

step gofmt formatted
step 'go.mod is tidy' tidy
step vet "$go" vet ./...
# shellcheck disable=SC2086 # a command with its arguments
step staticcheck $staticcheck ./...
# shellcheck disable=SC2046 # names are words; what runs real processes has no races of its own
step race "$go" test -race -timeout 20m $("$go" list ./lib/... | grep -v /lib/proof)
need mandoc mandoc && step 'man pages' pages
need shellcheck shellcheck && step 'shell scripts' scripts
need systemd-analyze systemd && step units units
need promtool prometheus && [ -d contrib/prometheus ] && step 'alert rules' promtool check rules contrib/prometheus/*.yml
if [ -n "$failed" ]; then
	printf '\ncheck: FAILED%s\n' "$failed"
	exit 1
fi
printf '\ncheck: ok\n'
