package profile

import "net"

const mostAddresses = 8 // of network cards

// upInterfaces asks the system for its interfaces. Android 13 and later refuse: then there are none, as a
// guessed name is worse than no name.
func upInterfaces() []string {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var names []string
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 {
			names = append(names, i.Name)
		}
	}
	return names
}
