package fence

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHandledByABI(t *testing.T) {
	const v1, v2, v3, v5 = 0x1fff, 0x3fff, 0x7fff, 0xffff
	for _, test := range []struct {
		abi     int
		network bool
		want    unix.LandlockRulesetAttr
	}{
		{1, false, unix.LandlockRulesetAttr{Handled_access_fs: v1}},
		{2, false, unix.LandlockRulesetAttr{Handled_access_fs: v2}},
		{3, false, unix.LandlockRulesetAttr{Handled_access_fs: v3}},
		{4, false, unix.LandlockRulesetAttr{Handled_access_fs: v3, Handled_access_net: 3}},
		{4, true, unix.LandlockRulesetAttr{Handled_access_fs: v3}},
		{5, false, unix.LandlockRulesetAttr{Handled_access_fs: v5, Handled_access_net: 3}},
		{6, false, unix.LandlockRulesetAttr{Handled_access_fs: v5, Handled_access_net: 3, Scoped: 3}},
		{6, true, unix.LandlockRulesetAttr{Handled_access_fs: v5, Scoped: 3}},
		{99, false, unix.LandlockRulesetAttr{Handled_access_fs: v5, Handled_access_net: 3, Scoped: 3}},
	} {
		if got := handled(test.abi, test.network); got != test.want {
			t.Errorf("ABI %d, network %v: %+v, want %+v", test.abi, test.network, got, test.want)
		}
	}
}

func TestMappedLibrary(t *testing.T) {
	for line, want := range map[string]string{
		"7f1c2a000000-7f1c2a1a0000 r-xp 00028000 fe:00 1311 /usr/lib/x86_64-linux-gnu/libc.so.6":            "/usr/lib/x86_64-linux-gnu/libc.so.6",
		"7f1c2a000000-7f1c2a028000 r--p 00000000 fe:00 1311 /usr/lib/x86_64-linux-gnu/libc.so.6":            "",
		"7ffd8d5f6000-7ffd8d5f8000 r-xp 00000000 00:00 0                          [vdso]":                   "",
		"00400000-00ab1000 r-xp 00000000 fe:00 4242                       /usr/local/bin/seawall (deleted)": "",
		"7f1c2a000000-7f1c2a001000 rw-p 00000000 00:00 0":                                                   "",
		"": "",
	} {
		if got, _ := mappedLibrary(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestForeignCallTable makes a system call through the x32 table of amd64, whose numbers the filter does not know.
func TestForeignCallTable(t *testing.T) {
	if arch, _ := auditArch(); arch != unix.AUDIT_ARCH_X86_64 {
		return // no other machine has this table
	}
	status, _ := crash(t, ordinary(), "x32", false)
	if status.Signal() != syscall.SIGSYS {
		t.Errorf("ended by %v, want SIGSYS", status.Signal())
	}
}
