package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Parts are the processes under a supervisor, by the subcommand that each runs.
var Parts = map[string]string{"house": "serve", "signer": "signer", "ledger": "ledger"}

// Child returns the process id of a part ("house", "signer" or "ledger"), once there is one.
func (s *Seawall) Child(part string) int {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		for _, pid := range children(s.PID()) {
			if words := commandLine(pid); len(words) > 1 && words[1] == Parts[part] {
				return pid
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("there is no %s process:\n%s", part, s.Output())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Children returns the process ids of all parts.
func (s *Seawall) Children() []int {
	s.t.Helper()
	var list []int
	for part := range Parts {
		list = append(list, s.Child(part))
	}
	return list
}

// children lists the processes whose parent is pid, from the kernel's process table.
func children(pid int) []int {
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	var list []int
	for _, path := range entries {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && parent(child) == pid {
			list = append(list, child)
		}
	}
	return list
}

// parent returns the parent of pid, 0 when there is no such process or it has ended and only waits to be noticed.
func parent(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, in parentheses, may hold anything; after it come the state and the parent.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

// Alive reports whether a process with this id exists and has not ended.
func Alive(pid int) bool { return parent(pid) != 0 }

// WaitGone waits until none of the processes is there any more.
func (s *Seawall) WaitGone(pids ...int) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for _, pid := range pids {
		for Alive(pid) {
			if time.Now().After(deadline) {
				s.t.Fatalf("process %d (%s) is still there", pid, strings.Join(commandLine(pid), " "))
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func commandLine(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
}
