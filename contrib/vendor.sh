#!/bin/sh
# Fetches what others have made anew from npm, in the versions that versions.json of each folder says, puts their files beside it and notes the sums.
# Usage: vendor.sh
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

# fetch does that for a folder.
fetch() (
	dir=$1
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	cd "$tmp"
	jq -c '.[]' "$dir/versions.json" | while read -r p; do
		name=$(printf %s "$p" | jq -r '"\(.package)@\(.version)"')
		rm -rf package
		npm pack --silent "$name" >archive
		tar xzf "$(cat archive)"
		files=$(printf %s "$p" | jq -r '.files | keys[]' | while read -r f; do
			find package -name "$f" | sort | tail -n 1 | xargs -I{} cp {} "$dir/$f"
			printf '{"%s":"%s"}' "$f" "$(sha256sum "$dir/$f" | cut -d ' ' -f 1)"
		done | jq -s add)
		printf %s "$p" | jq --arg i "$(npm view "$name" dist.integrity)" --argjson f "$files" '.integrity = $i | .files = $f'
	done | jq -s . >versions.json
	cp versions.json "$dir/versions.json"
)

fetch "$root/lib/web/static/vendor"
fetch "$root/testscripts/browser/testdata/axe"
