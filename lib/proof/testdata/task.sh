# What the tasks of the proof run: task.sh KIND KEY [SECONDS]. Each tells the witness, $W/history, what it does, and prints a line that only
# this attempt's process can have printed.
kind=$1 key=$2 seconds=$3

say() {
	read -r up rest </proc/uptime
	printf '%s %s %s %s %s %s\n' "$1" "$RC_TASK" "$RC_ATTEMPT" "$RC_DEVICE" $$ "$up" >>"$W/history"
}

case $kind in
exclusive)
	exec 9>>"$W/locks/$RC_TASK"
	flock -n 9 || say overlap
	;;
esac
say start
case $kind in
tiny) ;;
pause | exclusive | echo) sleep "$seconds" ;;
poison)
	while :; do
		: >"$W/kill/$RC_DEVICE" # the rig does it: a task cannot signal its worker
		sleep 0.05
	done
	;;
long)
	i=0
	while [ $i -lt "$seconds" ]; do
		i=$((i + 1))
		printf 'line %s of %s, attempt %s, process %s\n' $i "$key" "$RC_ATTEMPT" $$
		printf 'line %s of %s, attempt %s, process %s\n' $i "$key" "$RC_ATTEMPT" $$ >>"$W/out/$RC_TASK.$RC_ATTEMPT"
		sleep 0.05
	done
	;;
esac
case $kind in
long) ;;
echo) printf '%s\n' "$key" ;;
*) printf '%s %s %s\n' "$key" "$RC_ATTEMPT" $$ ;;
esac
say end
