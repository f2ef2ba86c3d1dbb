package ledger

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"seawall/internal/eddsa"
	"seawall/internal/mint"
)

// The life of a receipt key. It is certified for 90 days. Its successor is made two weeks before the end and takes over
// one week before, so validators can have known it for a week.
const (
	receiptLife = 90 * 24 * time.Hour
	madeAhead   = 14 * 24 * time.Hour
	takesOver   = 7 * 24 * time.Hour
	// shownAfter is how long after its end a receipt key stays in the published document, for tokens that it vouched for.
	// No token may live longer.
	shownAfter = 35 * 24 * time.Hour
)

const (
	rootFile     = "root.sealed"
	receiptsFile = "receipts.sealed"
)

// receiptKey is a receipt key with its private part.
type receiptKey struct {
	private     ed25519.PrivateKey
	receipts    *eddsa.Key // the same, for receipts, which are signed many at a time
	id          mint.KeyID
	certificate mint.Certificate
	recorded    bool // only then may it sign
}

func (k *receiptKey) covers(ms uint64) bool {
	t := int64(ms / 1000)
	return k.certificate.NotBefore <= t && t < k.certificate.Expires
}

// vaultKeys are the ledger's own keys: the root and the receipt keys that still have a private part, oldest first.
type vaultKeys struct {
	dir      string
	sealer   *sealer
	root     ed25519.PrivateKey
	receipts []*receiptKey
}

// storedReceiptKey is a receipt key as it is sealed.
type storedReceiptKey struct {
	Seed        []byte           `json:"seed"`
	Certificate mint.Certificate `json:"certificate"`
}

// createKeys makes a root and a first receipt key in an empty directory.
func createKeys(dir string, now time.Time) (*vaultKeys, error) {
	sealer, err := createSealer(dir)
	if err != nil {
		return nil, err
	}
	_, root, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	if err := sealer.write(dir, rootFile, root.Seed()); err != nil {
		return nil, err
	}
	k := &vaultKeys{dir: dir, sealer: sealer, root: root}
	return k, k.add(now.Add(-time.Minute))
}

// loadKeys opens the keys in dir.
func loadKeys(dir string) (*vaultKeys, error) {
	sealer, err := loadSealer(dir)
	if err != nil {
		return nil, err
	}
	k := &vaultKeys{dir: dir, sealer: sealer}
	seed, err := sealer.read(dir, rootFile)
	if err != nil {
		return nil, missing(err, "the ledger's root key")
	}
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("the ledger's root key is not one")
	}
	k.root = ed25519.NewKeyFromSeed(seed)
	plain, err := sealer.read(dir, receiptsFile)
	if err != nil {
		return nil, missing(err, "the file of the receipt keys")
	}
	var stored []storedReceiptKey
	if err := json.Unmarshal(plain, &stored); err != nil {
		return nil, errors.New("the receipt keys are not readable")
	}
	for _, s := range stored {
		if len(s.Seed) != ed25519.SeedSize {
			return nil, errors.New("a receipt key is not one")
		}
		if err := k.keep(ed25519.NewKeyFromSeed(s.Seed), s.Certificate); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func missing(err error, what string) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is missing: put the directory back from its backup; a new one would not be trusted by anybody", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (k *vaultKeys) keep(private ed25519.PrivateKey, c mint.Certificate) error {
	public, err := c.Verify(k.public())
	if err != nil {
		return err
	}
	if !public.Equal(private.Public()) {
		return errors.New("a receipt key does not fit its certificate")
	}
	k.receipts = append(k.receipts, &receiptKey{private: private, receipts: eddsa.NewKey(private), id: mint.LedgerKeyID(public), certificate: c})
	slices.SortStableFunc(k.receipts, func(a, b *receiptKey) int {
		return cmp.Compare(a.certificate.NotBefore, b.certificate.NotBefore)
	})
	return nil
}

func (k *vaultKeys) public() ed25519.PublicKey { return k.root.Public().(ed25519.PublicKey) }

// add makes a receipt key whose window begins at nbf, and seals it before anybody hears of it.
func (k *vaultKeys) add(nbf time.Time) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	c := mint.Certify(k.root, public, nbf.Unix(), nbf.Add(receiptLife).Unix())
	before := k.receipts
	if err := k.keep(private, c); err != nil {
		return err
	}
	if err := k.save(); err != nil {
		k.receipts = before
		return err
	}
	return nil
}

func (k *vaultKeys) save() error {
	stored := make([]storedReceiptKey, len(k.receipts))
	for i, r := range k.receipts {
		stored[i] = storedReceiptKey{r.private.Seed(), r.certificate}
	}
	plain, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	return k.sealer.write(k.dir, receiptsFile, plain)
}

// signing returns the key that signs at ms, or nil: the newest recorded one whose window has begun.
func (k *vaultKeys) signing(ms uint64) *receiptKey {
	for _, r := range slices.Backward(k.receipts) {
		if r.recorded && r.covers(ms) {
			return r
		}
	}
	return nil
}

// newest returns the key that was made last, or nil.
func (k *vaultKeys) newest() *receiptKey {
	if len(k.receipts) == 0 {
		return nil
	}
	return k.receipts[len(k.receipts)-1]
}

// due says what a look at the keys at now asks for: a successor whose window begins at nbf, or nothing (zero).
func (k *vaultKeys) due(now time.Time) (nbf time.Time) {
	newest := k.newest()
	if newest == nil {
		return now
	}
	end := time.Unix(newest.certificate.Expires, 0)
	if now.Before(end.Add(-madeAhead)) {
		return time.Time{}
	}
	if takeover := end.Add(-takesOver); now.Before(takeover) {
		return takeover
	}
	return now // late: the ledger was away at the time
}

// forget removes the private parts of keys that were replaced more than a minute ago: the clock may be set back a little.
func (k *vaultKeys) forget(now time.Time) error {
	current := k.signing(uint64(now.Add(-time.Minute).UnixMilli()))
	i := slices.Index(k.receipts, current)
	if current == nil || i <= 0 {
		return nil
	}
	before := k.receipts
	k.receipts = k.receipts[i:]
	if err := k.save(); err != nil {
		k.receipts = before
		return err
	}
	return nil
}
