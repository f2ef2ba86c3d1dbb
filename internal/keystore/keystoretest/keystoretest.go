// Package keystoretest is the contract of a key store: every driver's tests call [Run].
package keystoretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"sync"
	"testing"

	"seawall/internal/keystore"
)

// Run holds a store to the contract of [keystore.Store]. open returns an empty store; other returns one with secrets of
// its own, which must not open what the first has sealed.
func Run(t *testing.T, open, other func(*testing.T) keystore.Store) {
	store, foreign := open(t), other(t)
	if store.Custody() == "" {
		t.Error("the store does not say where its keys live")
	}
	if _, err := store.Generate("HS256"); !errors.Is(err, keystore.ErrAlgorithm) {
		t.Errorf("Generate of an unknown algorithm: %v", err)
	}
	for _, alg := range keystore.Algorithms {
		t.Run(alg, func(t *testing.T) {
			key := generate(t, store, alg)
			binding := Binding(t, key, alg)
			sealed, err := store.Seal(key, binding)
			if err != nil {
				t.Fatal(err)
			}
			signs(t, key, alg)
			reopens(t, store, sealed, binding, key)
			bound(t, store, sealed, binding)
			altered(t, store, sealed, binding)
			refuses(t, foreign, sealed, binding, "another store")
			misbound(t, store, key, binding)
			unprinted(t, key)
			destroyed(t, store, key, binding)
		})
	}
}

// Binding returns a binding that fits key.
func Binding(t *testing.T, key keystore.Key, alg string) *keystore.Binding {
	t.Helper()
	kid, err := keystore.KID(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &keystore.Binding{Tenant: "acme", Issuer: "https://id.example/acme", KID: kid, Family: "access", Alg: alg,
		NotBefore: 1_790_000_000, SigningEnds: 1_792_592_000, Expires: 1_792_596_000, Epoch: 1}
}

func generate(t *testing.T, store keystore.Store, alg string) keystore.Key {
	t.Helper()
	key, err := store.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signs checks the JWS form of signatures with the standard library alone.
func signs(t *testing.T, key keystore.Key, alg string) {
	t.Helper()
	if !keystore.Algorithm(key.Public(), alg) {
		t.Fatalf("the key of %s is a %T", alg, key.Public())
	}
	for i := range 20 { // often enough for an r or s with leading zeros to be likely over a few runs
		input := fmt.Appendf(nil, "header.payload %d", i)
		sig, err := keystore.AppendSignature([]byte("kept"), key, alg, input)
		if err != nil {
			t.Fatal(err)
		}
		if string(sig[:4]) != "kept" || !Verify(key.Public(), alg, input, sig[4:]) {
			t.Fatalf("%s: the signature does not verify", alg)
		}
		if Verify(key.Public(), alg, append(input, 'x'), sig[4:]) {
			t.Fatalf("%s: the signature covers other bytes", alg)
		}
	}
}

// Verify checks a JWS signature with the standard library alone.
func Verify(public crypto.PublicKey, alg string, input, sig []byte) bool {
	digest := sha256.Sum256(input)
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return alg == "ES256" && len(sig) == 64 &&
			ecdsa.Verify(k, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	case ed25519.PublicKey:
		return alg == "EdDSA" && ed25519.Verify(k, input, sig)
	case *rsa.PublicKey:
		if alg == "PS256" {
			return rsa.VerifyPSS(k, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: 32}) == nil
		}
		return alg == "RS256" && rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], sig) == nil
	}
	return false
}

func reopens(t *testing.T, store keystore.Store, sealed []byte, binding *keystore.Binding, key keystore.Key) {
	t.Helper()
	again, err := store.Open(sealed, binding)
	if err != nil {
		t.Fatalf("opening what was sealed: %v", err)
	}
	if !again.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
		t.Fatal("the opened key is another one")
	}
	signs(t, again, binding.Alg)
	twice, err := store.Seal(again, binding)
	if err != nil || string(twice) == string(sealed) {
		t.Fatalf("sealing twice gives the same bytes (%v)", err)
	}
}

func refuses(t *testing.T, store keystore.Store, sealed []byte, binding *keystore.Binding, what string) {
	t.Helper()
	if _, err := store.Open(sealed, binding); !errors.Is(err, keystore.ErrSealed) {
		t.Errorf("%s: got %v, want %v", what, err, keystore.ErrSealed)
	}
}

// bound changes each field of the binding.
func bound(t *testing.T, store keystore.Store, sealed []byte, binding *keystore.Binding) {
	t.Helper()
	for name, change := range map[string]func(*keystore.Binding){
		"tenant":       func(b *keystore.Binding) { b.Tenant = "rival" },
		"issuer":       func(b *keystore.Binding) { b.Issuer += "2" },
		"kid":          func(b *keystore.Binding) { b.KID = strings.Repeat("A", len(b.KID)) },
		"family":       func(b *keystore.Binding) { b.Family = "identity" },
		"alg":          func(b *keystore.Binding) { b.Alg = map[string]string{"RS256": "PS256"}[b.Alg] + "RS256" },
		"nbf":          func(b *keystore.Binding) { b.NotBefore-- },
		"signing_ends": func(b *keystore.Binding) { b.SigningEnds++ },
		"exp":          func(b *keystore.Binding) { b.Expires++ },
		"epoch":        func(b *keystore.Binding) { b.Epoch++ },
		"split":        func(b *keystore.Binding) { b.Tenant, b.Issuer = b.Tenant+b.Issuer[:1], b.Issuer[1:] },
	} {
		other := *binding
		change(&other)
		refuses(t, store, sealed, &other, "a binding with another "+name)
	}
}

func altered(t *testing.T, store keystore.Store, sealed []byte, binding *keystore.Binding) {
	t.Helper()
	for i := range sealed {
		bad := append([]byte(nil), sealed...)
		bad[i] ^= 0x40
		refuses(t, store, bad, binding, fmt.Sprintf("byte %d altered", i))
	}
	for cut := range sealed {
		refuses(t, store, sealed[:cut], binding, fmt.Sprintf("cut after %d bytes", cut))
	}
	refuses(t, store, append(append([]byte(nil), sealed...), 0), binding, "one byte longer")
}

func misbound(t *testing.T, store keystore.Store, key keystore.Key, binding *keystore.Binding) {
	t.Helper()
	other := *binding
	other.KID = strings.Repeat("A", len(other.KID))
	if _, err := store.Seal(key, &other); err == nil {
		t.Error("sealed under the kid of another key")
	}
	other = *binding
	other.Alg = "HS256"
	if _, err := store.Seal(key, &other); !errors.Is(err, keystore.ErrAlgorithm) {
		t.Errorf("sealed for an algorithm it can't do: %v", err)
	}
}

// unprinted compares every way of printing with the one word that may come out.
func unprinted(t *testing.T, key keystore.Key) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, key); got != "[redacted]" {
			t.Errorf("%s prints something of the key", verb)
		}
	}
}

// destroyed ends the key while it is in use: no signature may fail otherwise than with the one error, and none may
// succeed afterwards.
func destroyed(t *testing.T, store keystore.Store, key keystore.Key, binding *keystore.Binding) {
	t.Helper()
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for {
				sig, err := keystore.AppendSignature(nil, key, binding.Alg, []byte("a.b"))
				if errors.Is(err, keystore.ErrDestroyed) {
					return
				}
				if err != nil || !Verify(key.Public(), binding.Alg, []byte("a.b"), sig) {
					t.Errorf("a signature beside Destroy: %v", err)
					return
				}
			}
		})
	}
	key.Destroy()
	running.Wait()
	if _, err := key.Sign(io.Reader(nil), make([]byte, 32), crypto.SHA256); !errors.Is(err, keystore.ErrDestroyed) {
		t.Errorf("signing with a destroyed key: %v", err)
	}
	if _, err := store.Seal(key, binding); !errors.Is(err, keystore.ErrDestroyed) {
		t.Errorf("sealing a destroyed key: %v", err)
	}
	key.Destroy() // twice is harmless
}
