package supervise

import (
	"debug/elf"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tidyUp gives back what only the start has used: free memory, and the pages of the program's file. The initialisation of
// every package that the binary has, needed here or not, runs in every process, and leaves ten megabytes of the file
// mapped. What is used again comes back from the page cache at a touch.
func tidyUp() {
	debug.FreeOSMemory()
	for _, part := range programParts() {
		_ = unix.Madvise(part, unix.MADV_DONTNEED) // advice: nothing depends on it
	}
}

// programParts returns the memory into which the program's file is mapped for reading only, as the program header says
// that the kernel passed on. It returns nothing for a program that was moved to another address, whose read-only parts
// may have been written to.
func programParts() (parts [][]byte) {
	vector, err := unix.Auxv()
	if err != nil {
		return nil
	}
	const atPhdr, atPhent, atPhnum = 3, 4, 5
	at := map[uintptr]uintptr{}
	for _, pair := range vector {
		at[pair[0]] = pair[1]
	}
	if at[atPhdr] == 0 || at[atPhent] != unsafe.Sizeof(elf.Prog64{}) || at[atPhnum] == 0 {
		return nil
	}
	page := uintptr(unix.Getpagesize())
	moved := true
	for _, p := range unsafe.Slice((*elf.Prog64)(pointer(at[atPhdr])), at[atPhnum]) {
		switch {
		case elf.ProgType(p.Type) == elf.PT_PHDR:
			moved = uintptr(p.Vaddr) != at[atPhdr]
		case elf.ProgType(p.Type) == elf.PT_LOAD && elf.ProgFlag(p.Flags)&elf.PF_W == 0:
			from, to := uintptr(p.Vaddr)&^(page-1), (uintptr(p.Vaddr+p.Filesz)+page-1)&^(page-1)
			parts = append(parts, unsafe.Slice((*byte)(pointer(from)), to-from))
		}
	}
	if moved {
		return nil
	}
	return parts
}

// pointer is to memory that is not Go's.
func pointer(address uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&address)) }
