package vault

import (
	"os"
	"strings"
)

// bootPath is where Linux names the present boot.
const bootPath = "/proc/sys/kernel/random/boot_id"

// bootFiles lists what must be readable for bootID.
func bootFiles() []string {
	if _, err := os.Stat(bootPath); err != nil {
		return nil
	}
	return []string{bootPath}
}

// bootID names the present boot, or is empty where the system does not tell: then every start counts as a reboot.
func bootID() string {
	id, err := os.ReadFile(bootPath)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
