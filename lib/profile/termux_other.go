//go:build !linux

package profile

// termuxBattery is for Android alone.
type termuxBattery struct{}

func newTermuxBattery(string) *termuxBattery { return nil }

func (*termuxBattery) power() power { return power{} }
