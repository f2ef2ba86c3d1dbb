package envelope

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"

	"seawall/internal/secret"
)

// reader is somebody who can open envelopes.
type reader struct {
	public, fingerprint string
	identity            age.Identity
}

func textPrint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// sshReader makes an SSH key, as ssh-keygen would.
func sshReader(t *testing.T) reader {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	identity, err := agessh.ParseIdentity(pem.EncodeToMemory(block))
	if err != nil {
		t.Fatal(err)
	}
	return reader{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))) + " ada@acme.example", ssh.FingerprintSHA256(line), identity}
}

func readers(t *testing.T) map[string]reader {
	t.Helper()
	x, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]reader{
		"age":          {x.Recipient().String(), textPrint(x.Recipient().String()), x},
		"post-quantum": {pq.Recipient().String(), textPrint(pq.Recipient().String()), pq},
		"ssh":          sshReader(t),
	}
}

// TestOnlyTheReaderOpensIt: each kind of key opens what is for it, and none of the others does.
func TestOnlyTheReaderOpensIt(t *testing.T) {
	all := readers(t)
	for name, who := range all {
		r, err := ParseRecipient("  " + who.public + "\n")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Fingerprint() != who.fingerprint {
			t.Errorf("%s: its fingerprint is %s, want %s", name, r.Fingerprint(), who.fingerprint)
		}
		code := secret.Generate(secret.BreakGlass, secret.Production)
		file, err := r.Seal(code, "for the bad day\n")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(file, code.Reveal()) || !strings.HasPrefix(file, armor.Header) || !strings.HasSuffix(file, armor.Footer+"\n") {
			t.Errorf("%s: the envelope reads\n%s", name, strings.ReplaceAll(file, code.Reveal(), "(the code)"))
		}
		for other, one := range all {
			plain, err := age.Decrypt(armor.NewReader(strings.NewReader(file)), one.identity)
			if other != name {
				if err == nil {
					t.Errorf("what is for %s is opened by %s", name, other)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if text, err := io.ReadAll(plain); err != nil || string(text) != code.Reveal()+"\nfor the bad day\n" {
				t.Errorf("%s: inside is something else than the code and its note (%v)", name, err)
			}
		}
	}
}

// TestEachEnvelopeIsNew: two of the same secret have nothing in common.
func TestEachEnvelopeIsNew(t *testing.T) {
	r, err := ParseRecipient(sshReader(t).public)
	if err != nil {
		t.Fatal(err)
	}
	first, err := r.Seal(secret.New("a code"), "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.Seal(secret.New("a code"), "")
	if err != nil {
		t.Fatal(err)
	}
	if first == second {
		t.Error("the same secret makes the same envelope")
	}
}

// nowhere are recipients that open to everybody: the point of order one, as age and as SSH write it.
var nowhere = []string{
	"age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
}

// TestWhatIsNoRecipient is refused with its reason, and never repeated.
func TestWhatIsNoRecipient(t *testing.T) {
	all := readers(t)
	x := all["age"].public
	private := all["age"].identity.(*age.X25519Identity).String()
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":             {" ", ErrRecipient},
		"a word":              {"ada@acme.example", ErrRecipient},
		"a file":              {"./ada.pub", ErrRecipient},
		"a private age key":   {private, ErrPrivate},
		"a file of age":       {"# public key: " + x + "\n" + private, ErrPrivate},
		"a private SSH key":   {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA", ErrPrivate},
		"a letter is wrong":   {x[:20] + "b" + x[21:], ErrPlugin}, // b is in no bech32
		"a letter is missing": {x[:len(x)-1], ErrPlugin},
		"a plugin":            {"age1yubikey1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqjrljxx", ErrPlugin},
		"too short a key":     {"age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqar9jk6", ErrPlugin},
		"half of a hybrid":    {all["post-quantum"].public[:1000], ErrPlugin},
		"two":                 {x + "\n" + x, ErrRecipient},
		"two in a line":       {x + " " + x, ErrPlugin},
		"far too long":        {"age1" + strings.Repeat("q", longest), ErrRecipient},
		"RSA":                 {"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==", ErrSSH},
		"a security key":      {"sk-ssh-ed25519@openssh.com AAAA", ErrSSH},
		"P-256":               {"ecdsa-sha2-nistp256 AAAA", ErrSSH},
		"SSH without a key":   {"ssh-ed25519 AAAA", ErrRecipient},
		"SSH with options":    {`command="x" ` + all["ssh"].public, ErrRecipient},
		"another key inside":  {"ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==", ErrRecipient},
		"no point (age)":      {nowhere[0], ErrRecipient},
		"no point (SSH)":      {nowhere[1], ErrRecipient},
	} {
		r, err := ParseRecipient(c.text)
		if r != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
			continue
		}
		for word := range strings.FieldsSeq(c.text) {
			if len(word) > 12 && strings.Contains(err.Error(), word) {
				t.Errorf("%s: the error repeats what was given", name)
			}
		}
	}
}

var printForm = regexp.MustCompile(`^SHA256:[0-9A-Za-z+/]{43}$`)

// FuzzParseRecipient: whatever is taken can be encrypted to, and has a fingerprint of the one form.
func FuzzParseRecipient(f *testing.F) {
	x, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range append(nowhere, x.Recipient().String(), strings.ToUpper(x.Recipient().String()), "age1pq1", "age1yubikey1q", "AGE-SECRET-KEY-1",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEmQLyP1SNUaP7e9pzqcg4FBcmZuZy7mmeoY5Ue1mJTz ada", "ssh-rsa AAAA", "ssh-ed25519 AAAA") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRecipient(text)
		if err != nil {
			return
		}
		if !printForm.MatchString(r.Fingerprint()) {
			t.Errorf("the fingerprint is %q", r.Fingerprint())
		}
		file, err := r.Seal(secret.New("swb_prod_code"), "note")
		if err != nil || strings.Contains(file, "swb_prod_code") {
			t.Errorf("sealing: %v", err)
		}
	})
}
