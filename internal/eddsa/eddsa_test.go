package eddsa

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"testing"
)

// TestKnownAnswers signs the examples of RFC 8032 (§7.1), one by one and together.
func TestKnownAnswers(t *testing.T) {
	for _, v := range []struct{ seed, message, signature string }{
		{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
		{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
		{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
	} {
		seed, _ := hex.DecodeString(v.seed)
		message, _ := hex.DecodeString(v.message)
		k := NewKey(ed25519.NewKeyFromSeed(seed))
		for _, got := range k.Sign(k.Sign(nil, message), []byte("another"), message)[:1] {
			if hex.EncodeToString(got[:]) != v.signature {
				t.Errorf("%x, want %s", got, v.signature)
			}
		}
	}
}

// compare signs with both and wants the same bytes.
func compare(t *testing.T, seed []byte, messages [][]byte) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(seed)
	got := NewKey(private).Sign(make([][ed25519.SignatureSize]byte, 1, 4), messages...)
	if len(got) != 1+len(messages) || got[0] != [ed25519.SignatureSize]byte{} {
		t.Fatalf("%d signatures behind another one for %d messages", len(got), len(messages))
	}
	for i, message := range messages {
		if want := ed25519.Sign(private, message); !bytes.Equal(got[1+i][:], want) {
			t.Fatalf("seed %x, message %d of %d, %x: %x, want %x", seed, i, len(messages), message, got[1+i], want)
		}
	}
}

// TestSameAsTheStandardLibrary signs groups of every size, under many keys.
func TestSameAsTheStandardLibrary(t *testing.T) {
	for n := range 65 {
		seed := bytes.Repeat([]byte{byte(n)}, ed25519.SeedSize)
		var messages [][]byte
		for i := range n {
			messages = append(messages, bytes.Repeat([]byte{byte(i)}, 3*i))
		}
		compare(t, seed, messages)
	}
}

func FuzzSameAsTheStandardLibrary(f *testing.F) {
	f.Add([]byte("a seed of thirty-two bytes, about"), []byte("one"), []byte(""), []byte("three"))
	f.Fuzz(func(t *testing.T, seed, a, b, c []byte) {
		var full [ed25519.SeedSize]byte
		copy(full[:], seed)
		compare(t, full[:], [][]byte{a, b, c})
	})
}

func BenchmarkSign(b *testing.B) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	message := make([]byte, 90)
	b.Run("crypto/ed25519", func(b *testing.B) {
		for b.Loop() {
			ed25519.Sign(private, message)
		}
	})
	k := NewKey(private)
	for _, n := range []int{1, 8, 16, 64} {
		messages := make([][]byte, n)
		for i := range messages {
			messages[i] = message
		}
		var room [][ed25519.SignatureSize]byte
		b.Run(fmt.Sprint("together=", n), func(b *testing.B) {
			for b.Loop() {
				room = k.Sign(room[:0], messages...)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/signature")
		})
	}
}
