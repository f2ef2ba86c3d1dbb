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
