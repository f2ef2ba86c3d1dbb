package supervise

import (
	"fmt"
	"os"
	"testing"
)

// TestTidyUp looks at how much of the program's file is mapped before and after.
func TestTidyUp(t *testing.T) {
	mapped := func() (pages int) {
		text, err := os.ReadFile("/proc/self/statm")
		if err == nil {
			_, err = fmt.Sscanf(string(text), "%d %d %d", new(int), new(int), &pages)
		}
		if err != nil {
			t.Fatal(err)
		}
		return pages
	}
	parts := programParts()
	if len(parts) == 0 {
		t.Fatal("the program's file is not found in memory")
	}
	sum := 0
	for _, part := range parts {
		for i := 0; i < len(part); i += os.Getpagesize() {
			sum += int(part[i])
		}
	}
	before := mapped()
	tidyUp()
	if after := mapped(); after > before*3/4 {
		t.Errorf("%d pages of the file were mapped, and are %d now", before, after)
	}
	if sum == 0 {
		t.Error("the file holds nothing but zeros")
	}
}
