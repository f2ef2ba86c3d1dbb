package validate

import (
	"hash/maphash"
	"sync/atomic"

	"seawall/validate/internal/wire"
)

// headers remembers what the headers of accepted tokens say, because an issuer writes the same one
// again and again: between two tokens of one key nothing differs but the receipt. What a header says
// depends on its bytes and on the configuration alone, so it needs no second reading.
type headers struct {
	seed  maphash.Seed
	slots [64]headerSlot
}

// headerSlot is room for one header. A header is kept when it is the second of two that come here in
// a row, so that an issuer whose headers are all different, some put a nonce there, costs no memory.
type headerSlot struct {
	met  atomic.Uint64 // the tag of the latest that was accepted and not known
	kept atomic.Pointer[keptHeader]
}

type keptHeader struct {
	begin string
	header
}

// beginning gives a header up to its receipt, or up to its closing brace if it ends in none. Where one
// sound header has a beginning, so has every other that goes on with the brace or with a receipt of
// characters that need no escape: a member more, whose name the beginning does not have.
func beginning(data []byte) (begin []byte, receipt bool) {
	if at := len(data) - wire.ReceiptTail; at > 0 && string(data[at:at+len(wire.ReceiptOpen)]) == wire.ReceiptOpen {
		return data[:at], true
	}
	if last := len(data) - 1; last > 0 && data[last] == '}' {
		return data[:last], false
	}
	return nil, false
}

// readHeader gives the first thing that is wrong with the header of the token at hand.
func (v *Validator) readHeader(w *work) Code {
	begin, receipt := beginning(w.headerBytes)
	tag := maphash.Bytes(v.headers.seed, begin)
	slot := &v.headers.slots[tag%uint64(len(v.headers.slots))]
	if kept := slot.kept.Load(); kept != nil && kept.begin == string(begin) && (!receipt || w.cutReceipt()) {
		w.header = kept.header
		if receipt {
			w.header.receipts = 1
		}
		return ""
	}
	if code := v.scanHeader(&w.header, &w.headerScan, w.headerBytes); code != "" {
		return code
	}
	if w.header.receipts == 0 && !receipt || w.header.receipts == 1 && receipt {
		w.unkept = unkept{slot, tag, begin}
	}
	return ""
}

// unkept is the header of the token at hand, if it is worth keeping.
type unkept struct {
	slot  *headerSlot
	tag   uint64
	begin []byte
}

// keep keeps it, now that the token is accepted.
func (u *unkept) keep(h header) {
	if len(u.begin) == 0 {
		return
	}
	if u.slot.met.Swap(u.tag) != u.tag {
		return
	}
	h.kid, h.receipts = []byte(string(h.kid)), 0
	u.slot.kept.Store(&keptHeader{string(u.begin), h})
}
