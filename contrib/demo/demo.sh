#!/bin/sh
# Starts a cluster of three workers on this host, counts the lines and words of Go's standard library on it, checks the sum, stops.
# Usage: demo.sh BIN   (KEEP=1: leave the cluster running)
set -eu

bin=$(cd "$1" && pwd)
src=$("${GO:-go}" env GOROOT)/src
began=$(date +%s)
dir=$(mktemp -d "${TMPDIR:-/tmp}/retire-cluster-demo.XXXXXX")
pids=
PATH=$bin:$PATH
RC_DATA=$dir/main
RC_WEB_DATA=$dir/dashboard
export PATH RC_DATA RC_WEB_DATA
unset RC_MAIN RC_PIN RC_TOKEN_FILE 2>/dev/null || :

say() { printf '\n== %s\n' "$*"; }

stop() {
	# The workers first, so that they can say goodbye.
	for pid in $pids; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	rm -rf "$dir"
}

fail() {
	printf 'demo: FAILED: %s\n' "$*"
	for log in "$dir"/*.log; do
		printf -- '--- %s\n' "${log##*/}"
		tail -n 20 "$log"
	done
	exit 1
}

# start NAME COMMAND… runs a daemon in the background; the newest comes first in $pids.
start() {
	name=$1
	shift
	nohup "$@" >"$dir/$name.log" 2>&1 &
	pids="$! $pids"
}

# until COMMAND… waits for it to succeed, ten seconds at most.
until_ok() {
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || fail "waited in vain for: $*"
		sleep 0.05
	done
}

online() { [ "$(rc-status devices -o text | grep -c '|online|')" -eq 3 ]; }

trap 'stop' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "a main node, a dashboard and three workers on this host"
start rc-mained rc-mained --listen 127.0.0.1:0 --addr-file "$dir/address"
until_ok test -s "$dir/address"
start rc-web rc-web --listen 127.0.0.1:0 --addr-file "$dir/web"
for name in old-laptop pixel-3a raspberry; do
	start "$name" rc-workerd --data "$dir/$name" --name "$name" --slots 2
done
until_ok online
until_ok test -s "$dir/web"
web=http://$(cat "$dir/web")
rc-status devices -o table

say "a job: count the lines and words of every .go file below $src"
find "$src" -name '*.go' -type f | sort >"$dir/files"
files=$(wc -l <"$dir/files")
printf '%s tasks: rc-submit --each --wait -- wc -l -w {}\n' "$files"
job=$(date +%s)
rc-submit --each --wait -- wc -l -w {} <"$dir/files" >"$dir/counts" || fail "the job did not succeed"
job=$(($(date +%s) - job))

say "the answers, added up with awk"
# shellcheck disable=SC2016 # they are awk's
sum='{ lines += $1; words += $2 } END { printf "%d files, %d lines, %d words\n", NR, lines, words }'
cluster=$(awk "$sum" "$dir/counts")
# Without the cluster: one wc a file as well, since wc over many would print totals.
alone=$(while IFS= read -r file; do wc -l -w "$file"; done <"$dir/files" | awk "$sum")
printf 'on the cluster:      %s\nwithout the cluster: %s\n' "$cluster" "$alone"
[ "$cluster" = "$alone" ] || fail "the sums differ"

say "which device did how many"
rc-status tasks -o text | cut -d '|' -f 5 | sort | uniq -c

say "the dashboard: $web   (curl $web/text/status)"
rc-status >"$dir/status"
if command -v curl >/dev/null; then
	curl -fsS "$web/text/status" || fail "the dashboard does not answer"
else
	cat "$dir/status"
fi

took=$(($(date +%s) - began))
if [ "${KEEP:-}" = 1 ]; then
	trap - EXIT
	say "the cluster goes on running"
	cat <<TXT
use it:     export RC_DATA=$RC_DATA RC_WEB_DATA=$RC_WEB_DATA PATH=$bin:\$PATH
            rc-submit --wait -- uname -a
            rc-status --watch
            rc-logs -f -n 20
dashboard:  $web   (look)
            $(rc-web login)   (and act; good once, for five minutes)
stop it:    kill $pids; rm -r $dir
TXT
else
	trap - EXIT
	stop
fi
printf '\ndemo: ok (%s tasks in %s s, %s s in all)\n' "$files" "$job" "$took"
