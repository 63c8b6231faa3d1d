package cli

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready tells systemd that the service serves, or serves again after [Reloading].
// This and the other messages do nothing where $NOTIFY_SOCKET is unset, and errors are ignored: a service runs without them.
func Ready() { notify(daemon.SdNotifyReady) }

// Stopping tells systemd that the service is about to end.
func Stopping() { notify(daemon.SdNotifyStopping) }

// Reloading tells systemd that the service reads its configuration again; call [Ready] after it, also when it was refused.
func Reloading() { notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec()) }

// Watchdog returns how often to call beat so that systemd does not restart the service: half of what it allows.
// The interval is 0 when systemd does not ask for it.
func Watchdog() (interval time.Duration, beat func()) {
	allowed, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		allowed = 0
	}
	return allowed / 2, func() { notify(daemon.SdNotifyWatchdog) }
}

func notify(state string) { _, _ = daemon.SdNotify(false, state) }
