#!/data/data/com.termux/files/usr/bin/sh
# Installs rc-workerd on a phone, as a service of termux-services. To be run in Termux, as often as one likes:
#
#   sh termux/install.sh dist/android/arm64/rc-workerd rcj1_...
#
# The program may be left out where it is installed, and the join code (rc-ctl invite prints one) where the phone has joined.
set -eu

say() { printf '%s\n' "$*"; }
fail() {
	say "install.sh: $*" >&2
	exit 1
}

case ${PREFIX:-} in
*/com.termux*/usr) ;;
*) fail 'this is for Termux; elsewhere use make install' ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
config=$HOME/.config/retire-cluster
service=$PREFIX/var/service/rc-workerd
SVDIR=$PREFIX/var/service
export SVDIR

program='' code=''
for argument; do
	case $argument in
	rcj1_*) code=$argument ;;
	-*) fail 'usage: install.sh [PROGRAM] [JOIN-CODE]' ;;
	*) program=$argument ;;
	esac
done

# put FILE PLACE MODE: a program that runs cannot be written over, but it can be replaced.
put() {
	cp "$1" "$2.new"
	chmod "$3" "$2.new"
	mv -f "$2.new" "$2"
}

if [ -n "$program" ]; then
	[ -f "$program" ] || fail "$program: no such file"
	put "$program" "$PREFIX/bin/rc-workerd" 755
fi
version=$("$PREFIX/bin/rc-workerd" --version) ||
	fail 'no rc-workerd that runs here: name the one for this phone, which is android/arm64, or linux/arm where uname -m says armv7l or armv8l'

mkdir -p "$config" "$service/log" "$HOME/.termux/boot"
chmod 700 "$config"
new=''
[ -f "$service/run" ] || new=yes
# Before there is a "run" there has to be a "down": the service must not start before it can join.
[ -z "$new" ] || : >"$service/down"
for file in finish log/run run; do
	put "$here/rc-workerd/$file" "$service/$file" 755
done
put "$here/boot/start-rc-workerd" "$HOME/.termux/boot/start-rc-workerd" 755
# Android allows 32 child processes in all apps together, and a phone gets hot: few slots.
[ -f "$config/workerd.json" ] || printf '{\n  "slots": 2\n}\n' >"$config/workerd.json"
if [ -n "$code" ]; then
	(umask 077 && printf '%s\n' "$code" >"$config/join")
fi

say "$version is installed."
say
say 'What is left to do:'
state=${XDG_STATE_HOME:-$HOME/.local/state}/retire-cluster-worker/worker.json
if [ ! -s "$config/join" ] && [ ! -s "$state" ]; then
	say '* Join: rc-ctl invite, on the main node, prints a join code. Then here:'
	say "    sh $here/install.sh CODE"
fi
if ! command -v sv-enable >/dev/null; then
	say '* Services: pkg install termux-services, then leave Termux with exit and open it again.'
fi
if [ -e "$service/down" ]; then
	say '* Start: sv-enable rc-workerd'
elif [ -n "$program" ]; then
	say '* Start the new program: sv restart rc-workerd'
fi
say '* Start with the phone: install the app Termux:Boot from where Termux came from, and open it once.'
say '* Battery: Android settings, Apps, Termux, Battery: Unrestricted. The same for Termux:Boot.'
say '  Where the maker of the phone has more rules for the background, dontkillmyapp.com tells how to lift them.'
say '* Wake lock: the service takes one (termux-wake-lock); the notification of Termux shows it.'

sdk=$(getprop ro.build.version.sdk 2>/dev/null || true)
case $sdk in
'' | *[!0-9]*) sdk=0 ;;
esac
adb='  With adb, from a computer or by "pkg install android-tools" and wireless debugging:'
if [ "$sdk" -ge 34 ]; then
	say '* Child processes: Android settings, System, Developer options, "Disable child process restrictions": on.'
elif [ "$sdk" -ge 32 ]; then
	say '* Child processes: Android kills those above 32. To end that:'
	say "$adb"
	say '    adb shell settings put global settings_enable_monitor_phantom_procs false'
elif [ "$sdk" -eq 31 ]; then
	say '* Child processes: Android kills those above 32. To end that:'
	say "$adb"
	say '    adb shell device_config set_sync_disabled_for_tests persistent'
	say '    adb shell device_config put activity_manager max_phantom_processes 2147483647'
fi
say
say 'What else stands in the way, and what cures it: rc-workerd check'
say "Log: $PREFIX/var/log/sv/rc-workerd/current. Settings: $config/workerd.json."
say 'Stop: sv down rc-workerd (what runs may end). For good: sv-disable rc-workerd.'
