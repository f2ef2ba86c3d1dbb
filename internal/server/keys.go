package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"seawall/internal/durable"
	"seawall/internal/mint"
)

// Files of the house that keys come from when the vaults are away.
const (
	keysFile = "keys.json"
	rootFile = "ledger-root"
)

// errOtherRoot says that a vault presents another ledger than the one this house has always known. Nothing of such an
// answer is used: validators have the old root pinned and would refuse everything under a new one.
var errOtherRoot = errors.New("the ledger has another root than the one remembered in the house's directory (" + rootFile + "): its directory was exchanged, or this is another seawall's house")

// keyState is what the house knows about keys at one time. It never changes.
type keyState struct {
	heard      bool   // from the signer, and not from the file
	generation uint64 // of the signer's present run
	ledger     mint.Document
	pin        string
	byTenant   map[string][]mint.Key
}

// askKeys asks the signer for keys; [mint.Caller.Keys] does.
type askKeys func(context.Context, mint.KeysQuery) (*mint.Keys, error)

// keys follows the signer's keys and keeps them for when it is away.
type keys struct {
	dir    string
	signer askKeys
	log    *slog.Logger

	state atomic.Pointer[keyState]

	refreshing sync.Mutex              // one at a time; guards what follows
	root       *atomic.Pointer[string] // base64url; nil until the signer was heard for the first time
	saved      []byte                  // what is in the file
	problem    atomic.Pointer[string]
}

// newKeys loads what the house remembers. A damaged memory of keys is left alone: the signer tells them again. A damaged
// root is an error, because forgetting whom one trusted must be somebody's decision.
func newKeys(dir string, signer askKeys, root *atomic.Pointer[string], log *slog.Logger) (*keys, error) {
	k := &keys{dir: dir, signer: signer, root: root, log: log}
	k.state.Store(&keyState{byTenant: map[string][]mint.Key{}})
	text, err := os.ReadFile(filepath.Join(dir, rootFile))
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the remembered ledger root: %w", err)
	}
	if _, err := decodeRoot(string(text)); err != nil {
		return nil, fmt.Errorf("the remembered ledger root in %s is damaged: restore it from a backup", rootFile)
	}
	remembered := string(text)
	k.root.Store(&remembered)
	if err := k.load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the keys kept for when the vaults are away can't be used", "cause", err)
	}
	return k, nil
}

// load takes up the keys that were saved.
func (k *keys) load() error {
	text, err := os.ReadFile(filepath.Join(k.dir, keysFile))
	if err != nil {
		return err
	}
	answer := new(mint.Keys)
	if err := json.Unmarshal(text, answer); err != nil {
		return errors.New(keysFile + " is damaged")
	}
	k.saved = text
	return k.accept(answer, false)
}

func decodeRoot(s string) (ed25519.PublicKey, error) {
	root, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err == nil && len(root) != ed25519.PublicKeySize {
		err = errors.New("wrong length")
	}
	return root, err
}

// now returns what is known.
func (k *keys) now() *keyState { return k.state.Load() }

// refresh asks the signer for what has changed.
func (k *keys) refresh(ctx context.Context) error {
	k.refreshing.Lock()
	defer k.refreshing.Unlock()
	had := k.state.Load()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	answer, err := k.signer(ctx, mint.KeysQuery{After: had.generation})
	if err != nil {
		return err
	}
	if answer.Generation == had.generation && had.heard {
		return nil
	}
	if err := k.accept(answer, true); err != nil {
		text := err.Error()
		k.problem.Store(&text)
		return err
	}
	k.problem.Store(nil)
	return nil
}

// trouble says why the signer's last answer was not used, "" if it was.
func (k *keys) trouble() string {
	if p := k.problem.Load(); p != nil {
		return *p
	}
	return ""
}

// accept makes an answer the present state, after checking that it speaks for the ledger that the house knows. The
// answer is saved first when it is news: what is served once can be served again after a restart.
func (k *keys) accept(answer *mint.Keys, news bool) error {
	root, err := k.knows(answer.Ledger)
	if err != nil {
		return err
	}
	if news {
		if err := k.save(answer); err != nil {
			return fmt.Errorf("keeping the keys: %w", err)
		}
	}
	state := &keyState{heard: news, generation: answer.Generation, ledger: answer.Ledger, pin: mint.Pin(root), byTenant: map[string][]mint.Key{}}
	for i := range answer.Keys {
		key := &answer.Keys[i]
		if !stated(root, key) {
			k.log.Error("a key without the ledger's statement is not published", "tenant", key.Tenant, "kid", key.KID)
			continue
		}
		state.byTenant[key.Tenant] = append(state.byTenant[key.Tenant], *key)
	}
	k.state.Store(state)
	return nil
}

func (k *keys) save(answer *mint.Keys) error {
	lasting := *answer
	lasting.Generation, lasting.Frozen = 0, "" // both are of this signer's present run
	text, err := json.Marshal(lasting)
	if err != nil || bytes.Equal(text, k.saved) {
		return err
	}
	if err := durable.Replace(filepath.Join(k.dir, keysFile), text, 0o600); err != nil {
		return err
	}
	k.saved = text
	return nil
}

// knows checks a ledger document against the root remembered, and remembers the root of the first one.
func (k *keys) knows(doc mint.Document) (ed25519.PublicKey, error) {
	root, err := decodeRoot(doc.Root)
	if err != nil {
		return nil, errors.New("the ledger's document has no root")
	}
	for i := range doc.ReceiptKeys {
		if _, err := doc.ReceiptKeys[i].Verify(root); err != nil {
			return nil, err
		}
	}
	known := k.root.Load()
	if known == nil {
		if err := durable.Replace(filepath.Join(k.dir, rootFile), []byte(doc.Root), 0o600); err != nil {
			return nil, fmt.Errorf("remembering the ledger root: %w", err)
		}
		k.root.Store(&doc.Root)
		return root, nil
	}
	if *known != doc.Root {
		return nil, errOtherRoot
	}
	return root, nil
}

// stated reports whether the ledger root vouches for a key. A key that verifies nothing any more has no statement.
func stated(root ed25519.PublicKey, k *mint.Key) bool {
	if k.RetiredAt != 0 || k.RevokedAt != 0 {
		return true
	}
	s := mint.Statement{Issuer: k.Issuer, KID: k.KID, Alg: k.Alg, Kinds: k.Kinds, NotBefore: k.NotBefore, SigningEnds: k.SigningEnds, Expires: k.Expires}
	n, err := base64.RawURLEncoding.Strict().Decode(s.Thumbprint[:], []byte(k.Thumbprint[:min(len(k.Thumbprint), 43)]))
	return err == nil && n == len(s.Thumbprint) && len(k.Thumbprint) == 43 && s.Verify(root, k.Statement)
}

// of returns a tenant's keys that belong to its issuer.
func (s *keyState) of(tenant, issuer string) []mint.Key {
	list := s.byTenant[tenant]
	if slices.ContainsFunc(list, func(k mint.Key) bool { return k.Issuer != issuer }) {
		list = slices.DeleteFunc(slices.Clone(list), func(k mint.Key) bool { return k.Issuer != issuer })
	}
	return list
}

// follow refreshes every second until ctx ends. That the signer is away is told by the health check.
func (k *keys) follow(ctx context.Context) {
	told := ""
	repeat(ctx, func() bool {
		err := k.refresh(ctx)
		if err != nil && !isAway(err) && err.Error() != told {
			told = err.Error()
			k.log.ErrorContext(ctx, "the signer's keys are not used", "cause", err)
		}
		return err == nil
	})
}
