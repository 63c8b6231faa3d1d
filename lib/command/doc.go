// Package command does what rc-submit, rc-status, rc-logs and rc-ctl do: flags in, text out.
// It is for the rc- commands; its API may change in any release.
// Each command is a struct that cli.Main, or in another process cli.Exec, fills from the command line and runs.
package command
