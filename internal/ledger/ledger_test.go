package ledger

import (
	"testing"

	"seawall/internal/mint"
)

func TestReceiptsAreGood(t *testing.T) {
	r, p, i := ready(t)
	now := r.clock.now()
	list := []mint.Unsigned{i.token(now), i.token(now), i.token(now)}
	head, got, err := p.tokens(r.l, list...)
	if err != nil {
		t.Fatal(err)
	}
	if head != r.l.Head() {
		t.Errorf("the answer's head %+v is not the ledger's %+v", head, r.l.Head())
	}
	keyOf := keyOfDocument(r.l.Document())
	for n, g := range got {
		if g.Refusal != nil {
			t.Fatalf("token %d: %v", n, g.Refusal)
		}
		if !g.Receipt.Verify(keyOf(g.Receipt.Key()), digestsOf(list)[n]) {
			t.Errorf("receipt %d does not verify", n)
		}
		if want := head.Size - 3 + uint64(n); g.Receipt.Sequence() != want || g.Receipt.Millis() != head.Millis {
			t.Errorf("receipt %d: sequence %d at %d, want %d at %d", n, g.Receipt.Sequence(), g.Receipt.Millis(), want, head.Millis)
		}
	}
}
