package fence

import (
	"fmt"
	"strings"
)

// What is left of the network, in [Level].Network.
const (
	NetworkNone  = "none"   // not one socket can be made
	NetworkNoTCP = "no-tcp" // TCP can be neither bound nor connected, UDP can
	NetworkOpen  = "open"
)

// Level is what [Enter] measured from inside the finished fence. Its JSON form is stable.
type Level struct {
	// Process is the name given in the Spec.
	Process string `json:"process"`
	// Platform is the operating system, as Go names it.
	Platform string `json:"platform"`
	// UID is the effective user id.
	UID int `json:"uid"`
	// OwnUID says that the process came from root and cannot go back: its user id is nobody else's.
	OwnUID bool `json:"own_uid"`
	// Chroot says that the root directory is the process's own directory.
	Chroot bool `json:"chroot"`
	// Landlock is the ABI whose rules are in force, 0 for none.
	Landlock int `json:"landlock_abi"`
	// Seccomp says that the filter refused the sockets tried.
	Seccomp bool `json:"seccomp"`
	// Network is one of the Network constants.
	Network string `json:"network"`
	// Forbidden is the number of forbidden paths tried, Opened the number of those that opened all the same.
	Forbidden int `json:"forbidden"`
	Opened    int `json:"opened"`
	// CoreLimit is the hard limit of core files in bytes.
	CoreLimit uint64 `json:"core_limit"`
	// Dumpable says that the same user could still trace the process or read its memory.
	Dumpable bool `json:"dumpable"`
	// NoNewPrivs says that no program run by this process can gain privileges.
	NoNewPrivs bool `json:"no_new_privs"`
}

// String is the one line shown to people: "own uid 61802, chroot, Landlock ABI 7, no network, no dumps".
func (l *Level) String() string {
	if l.Platform != "linux" {
		return fmt.Sprintf("no protection on %s: own uid, chroot, Landlock, seccomp, network and dump walls are all missing", l.Platform)
	}
	parts := []string{l.user()}
	if l.Chroot {
		parts = append(parts, "chroot")
	}
	if l.Landlock > 0 {
		parts = append(parts, fmt.Sprintf("Landlock ABI %d", l.Landlock))
	} else {
		parts = append(parts, "no Landlock")
	}
	if !l.Seccomp {
		parts = append(parts, "no seccomp")
	}
	switch l.Network {
	case NetworkNone:
		parts = append(parts, "no network")
	case NetworkNoTCP:
		parts = append(parts, "no TCP")
	default:
		parts = append(parts, "network open")
	}
	if l.CoreLimit == 0 && !l.Dumpable {
		parts = append(parts, "no dumps")
	} else {
		parts = append(parts, "dumps possible")
	}
	return strings.Join(parts, ", ")
}

// user tells how far the process is from its neighbours on the same machine.
func (l *Level) user() string {
	switch {
	case l.Opened > 0:
		return "same user: no protection from the house"
	case l.OwnUID:
		return fmt.Sprintf("own uid %d", l.UID)
	case l.Forbidden > 0 && l.Landlock > 0:
		return "same user"
	default:
		return fmt.Sprintf("uid %d", l.UID)
	}
}
