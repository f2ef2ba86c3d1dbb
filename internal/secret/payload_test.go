package secret

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
)

func TestPayload(t *testing.T) {
	var ends, random Payload
	for i := range ends {
		ends[i] = 0xff
	}
	_, _ = rand.Read(random[:])
	for _, p := range []Payload{{}, ends, random} {
		for _, env := range Envs() {
			made := Carry(RefreshToken, env, p)
			got, gotEnv, err := made.Payload(RefreshToken)
			if err != nil || got != p || gotEnv != env {
				t.Errorf("%x in %s came back as %x in %s, %v", p, env, got, gotEnv, err)
			}
			if kind, _, err := Parse(made.Reveal()); err != nil || kind != RefreshToken || len(made.Reveal()) != len("swr_")+len(env)+1+99+6 {
				t.Errorf("it parses as %v of %d characters, %v", kind, len(made.Reveal()), err)
			}
			if found := Find([]byte("token=" + made.Reveal() + ",")); len(found) != 1 || !found[0].Certain || found[0].What != "refresh token" {
				t.Errorf("a scanner finds %+v", found)
			}
		}
	}
}

func TestPayloadHasOneSpelling(t *testing.T) {
	head := "swr_prod_" + strings.Repeat("z", 99) // each word is more than eight bytes can say
	if _, _, err := New(string(appendChecksum([]byte(head)))).Payload(RefreshToken); !errors.Is(err, ErrForm) {
		t.Errorf("digits beyond 2^64: %v, want ErrForm", err)
	}
	just := "swr_prod_" + strings.Repeat("LygHa16AHYG", 9) // 2^64, which would be 0 again
	if _, _, err := New(string(appendChecksum([]byte(just)))).Payload(RefreshToken); !errors.Is(err, ErrForm) {
		t.Errorf("2^64: %v, want ErrForm", err)
	}
	for _, other := range []Text{Generate(ClientSecret, Production), Generate(GrantCode, Production), New("swr_prod_"), {}} {
		if _, _, err := other.Payload(RefreshToken); !errors.Is(err, ErrForm) {
			t.Errorf("another credential: %v, want ErrForm", err)
		}
	}
	if _, _, err := Generate(RefreshToken, Production).Payload(ClientSecret); !errors.Is(err, ErrForm) {
		t.Errorf("asked for as another kind: %v, want ErrForm", err)
	}
}

func FuzzPayload(f *testing.F) {
	f.Add(Carry(RefreshToken, Staging, Payload{1, 2, 3}).Reveal())
	f.Add(string(appendChecksum([]byte("swr_prod_" + strings.Repeat("z", 99)))))
	f.Add("swr_prod_")
	f.Fuzz(func(t *testing.T, s string) {
		p, env, err := New(s).Payload(RefreshToken)
		if err != nil {
			return
		}
		if again := Carry(RefreshToken, env, p).Reveal(); again != s {
			t.Fatal("a payload has two spellings")
		}
	})
}
