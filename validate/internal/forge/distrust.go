package forge

import (
	"crypto/ed25519"

	"seawall/validate/internal/wire"
)

// Distrust signs a statement of the distrust feed as it is and gives its JSON.
func (l *Ledger) Distrust(d *wire.Distrust) []byte {
	return JSON(l.distrust(d))
}

func (l *Ledger) distrust(d *wire.Distrust) map[string]any {
	return map[string]any{
		"issuer": d.Issuer, "n": d.N, "prev": Text(d.Prev[:]), "act": d.Act, "kind": d.Kind, "value": d.Value,
		"before": d.Before, "until": d.Until, "undoes": d.Undoes, "reason": d.Reason, "time": d.Time,
		"signature": Text(ed25519.Sign(l.Root, d.AppendInput(nil))),
	}
}

// Head signs a head of the distrust feed as it is and gives its JSON.
func (l *Ledger) Head(h *wire.DistrustHead) []byte {
	return JSON(head(h, ed25519.Sign(l.Root, h.Input())))
}

func head(h *wire.DistrustHead, signature []byte) map[string]any {
	return map[string]any{
		"issuer": h.Issuer, "n": h.N, "chain": Text(h.Chain[:]), "time": h.Time, "expires": h.Expires, "signature": Text(signature),
	}
}

// Snapshot signs a snapshot of the distrust feed with these statements and gives its JSON.
func (l *Ledger) Snapshot(h *wire.DistrustHead, live []wire.Distrust) []byte {
	digest := wire.NewLive()
	statements := make([]any, 0, len(live))
	for i := range live {
		digest.Add(live[i].AppendInput(nil))
		statements = append(statements, l.distrust(&live[i]))
	}
	snapshot := head(h, ed25519.Sign(l.Root, h.SnapshotInput(digest.Sum())))
	snapshot["statements"] = statements
	return JSON(snapshot)
}

// Feed is the history of an issuer's distrust feed: what its ledger would sign at any moment.
type Feed struct {
	Ledger *Ledger
	Issuer string
	All    []wire.Distrust // statement n is All[n-1]
	undone map[uint64]bool
	chain  wire.Chain
}

// Add completes a statement with its place in the history and gives its JSON.
func (f *Feed) Add(d wire.Distrust, ms int64) []byte {
	d.Issuer, d.N, d.Prev, d.Time = f.Issuer, uint64(len(f.All)+1), f.chain, uint64(ms)
	f.All = append(f.All, d)
	f.chain = wire.ChainOf(d.AppendInput(nil))
	if f.undone == nil {
		f.undone = make(map[uint64]bool)
	}
	f.undone[d.Undoes] = true
	return f.Ledger.Distrust(&d)
}

// Undo gives the statement that takes statement n back, to be added.
func (f *Feed) Undo(n uint64) wire.Distrust {
	d := f.All[n-1]
	return wire.Distrust{Act: "restore", Kind: d.Kind, Value: d.Value, Until: d.Until, Undoes: n, Reason: "mistake"}
}

// Top gives the head at a time, which lasts for a minute.
func (f *Feed) Top(ms int64) wire.DistrustHead {
	return wire.DistrustHead{Issuer: f.Issuer, N: uint64(len(f.All)), Chain: f.chain, Time: uint64(ms), Expires: uint64(ms + 60_000)}
}

// Live gives the statements that a snapshot at a time holds.
func (f *Feed) Live(ms int64) (live []wire.Distrust) {
	for _, d := range f.All {
		if d.Act == "distrust" && !f.undone[d.N] && d.Until*1000 > uint64(ms) {
			live = append(live, d)
		}
	}
	return live
}
