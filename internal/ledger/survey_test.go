package ledger

import (
	"bytes"
	"testing"
)

// TestATornBatchIsKnownWhereverItLies loses each sector of a batch that begins at each place of a sector. Where the head lies
// across two, what is left of it may give another size.
func TestATornBatchIsKnownWhereverItLies(t *testing.T) {
	whole := bytes.Repeat([]byte{0xff}, 3*sector)
	copy(whole, finishBatch(beginBatch(nil), 0, &trailer{count: 1})[:batchHead-4])
	n := len(whole) - batchHead - trailerSize
	copy(whole[batchHead-4:], []byte{0, 0, byte(n >> 8), byte(n)})
	if size, err := readBatchHead(whole); err != nil || size != len(whole) {
		t.Fatalf("the head says %d bytes, %v", size, err)
	}
	for offset := int64(sector); offset < 2*sector; offset++ {
		for lost := offset - offset%sector; lost < offset+int64(len(whole)); lost += sector {
			disk := newFaultDisk(1)
			f, err := disk.Create("segment")
			if err != nil {
				t.Fatal(err)
			}
			left := append(make([]byte, offset), whole...)
			clear(left[lost:min(lost+sector, int64(len(left)))])
			if _, err := f.WriteAt(left, 0); err != nil {
				t.Fatal(err)
			}
			size, err := readBatchHead(left[offset:])
			if err != nil {
				size = 0
			}
			if _, torn, err := survey(f, offset, int64(size)); !torn || err != nil {
				t.Errorf("at %d, without the sector at %d: torn %v, %v", offset, lost, torn, err)
			}
		}
	}
}
