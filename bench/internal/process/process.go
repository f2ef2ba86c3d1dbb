//go:build linux

// Package process watches other processes from outside: which ones belong to a server, what processor time
// they used and what memory they hold. A server that runs as four processes is paid for as four processes.
package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Process is one running process.
type Process struct {
	PID int
	// Role is what the process does in its server: "house", "signer", … or the name of its program.
	Role string

	started uint64 // in ticks since the machine's start: with PID it names one process for ever
}

// Alive reports whether this very process, not a later one with its id, still runs. A process that ended and
// was not yet waited for counts as ended.
func (p Process) Alive() bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
	if err != nil {
		return false
	}
	now, err := parseStat(string(text))
	return err == nil && now.started == p.started && now.state != "Z" && now.state != "X"
}

// CPU is the processor time (user and system, all threads, also those that ended) that a process has used, in
// the kernel's nanoseconds rather than in the 10 ms ticks of /proc. It needs no permission over the process.
// See clock_getcpuclockid(3).
func CPU(pid int) (time.Duration, error) {
	const wholeProcess = 2 // CPUCLOCK_SCHED without CPUCLOCK_PERTHREAD_MASK
	var now syscall.Timespec
	clock := int32(^pid)<<3 | wholeProcess
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(now.Nano()), nil
}

// Tree lists a process and its descendants, parents first, in the order of their ids.
func Tree(root int) ([]Process, error) {
	children, err := parents()
	if err != nil {
		return nil, err
	}
	var tree []Process
	for level := []int{root}; len(level) > 0; {
		var next []int
		for _, pid := range level {
			found, err := inspect(pid)
			if gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH); gone && pid != root {
				continue // it ended while we looked
			}
			if err != nil {
				return nil, fmt.Errorf("process %d: %w", pid, err)
			}
			tree = append(tree, found)
			next = append(next, children[pid]...)
		}
		slices.Sort(next)
		level = next
	}
	return tree, nil
}

// parents maps every process to its children.
func parents() (map[int][]int, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it ended while we looked
		}
		s, err := parseStat(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		children[s.parent] = append(children[s.parent], s.pid)
	}
	return children, nil
}

// stat is the part of proc_pid_stat(5) that is used here.
type stat struct {
	pid, parent int
	state       string
	started     uint64
}

// parseStat reads a line of proc_pid_stat(5). The program's name stands in brackets and may itself hold spaces
// and brackets, so the last bracket counts.
func parseStat(line string) (stat, error) {
	const state, parent, started = 0, 1, 19 // fields 3, 4 and 22 of the line
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 1 || end < open {
		return stat{}, errors.New("no program name in brackets")
	}
	rest := strings.Fields(line[end+1:])
	if len(rest) <= started {
		return stat{}, errors.New("too few fields")
	}
	s := stat{state: rest[state]}
	var errs [3]error
	s.pid, errs[0] = strconv.Atoi(strings.TrimSpace(line[:open]))
	s.parent, errs[1] = strconv.Atoi(rest[parent])
	s.started, errs[2] = strconv.ParseUint(rest[started], 10, 64)
	return s, errors.Join(errs[:]...)
}

// inspect reads what Process tells about a process.
func inspect(pid int) (Process, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, err
	}
	s, err := parseStat(string(text))
	if err != nil {
		return Process{}, err
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return Process{}, err
	}
	args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
	return Process{PID: pid, Role: roleOf(args), started: s.started}, nil
}

// roleOf names a process by its arguments: seawall's subcommands by what they are called in its house, other
// programs by their own name.
func roleOf(args []string) string {
	program := filepath.Base(args[0])
	if program != "seawall" || len(args) == 1 {
		return strings.TrimPrefix(program, "seawall-")
	}
	switch args[1] {
	case "up":
		return "supervisor"
	case "serve":
		return "house"
	default:
		return args[1]
	}
}

// Memory is what a process holds in RAM, in bytes.
type Memory struct {
	RSS int64 // resident, pages shared with other processes counted in full
	PSS int64 // resident, each shared page divided by the number of processes that map it
}

// Resident reads the memory of a process. Processes that forbid dumps can only be read by root.
func Resident(pid int) (Memory, error) {
	name := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return Memory{}, fmt.Errorf("reading the memory of process %d (a hardened process shows it to root alone): %w", pid, err)
	}
	memory, err := parseRollup(string(text))
	if err != nil {
		return Memory{}, fmt.Errorf("%s: %w", name, err)
	}
	return memory, nil
}

// parseRollup reads proc_pid_smaps(5) lines such as "Rss:  1234 kB".
func parseRollup(text string) (Memory, error) {
	found := map[string]int64{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return Memory{}, err
		}
		found[fields[0]] = kilobytes * 1024
	}
	rss, rssFound := found["Rss:"]
	pss, pssFound := found["Pss:"]
	if !rssFound || !pssFound {
		return Memory{}, errors.New("no Rss or Pss line")
	}
	return Memory{rss, pss}, nil
}

// Busy is the processor time that the whole machine has spent on work since it started, summed over its
// processors. It counts in ticks of 10 ms.
func Busy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	busy, err := parseBusy(string(text))
	if err != nil {
		return 0, fmt.Errorf("/proc/stat: %w", err)
	}
	return busy, nil
}

// parseBusy adds up the "cpu" line of proc_stat(5) except idle, iowait and the guest columns, which are
// already part of user and nice.
func parseBusy(text string) (time.Duration, error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, errors.New("no cpu line")
	}
	var ticks int64
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		if idle, iowait := 3, 4; i != idle && i != iowait {
			ticks += n
		}
	}
	return time.Duration(ticks) * tick, nil
}
