package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	_ "modernc.org/sqlite"

	"seawall/internal/mint"
	"seawall/internal/testenv"
	"seawall/internal/testenv/canary"
)

// TestNoSecretGetsOut sends fresh credentials through everything that seawall does with any, also on the ways that fail,
// and then searches all that came out and all that was written for them: what the processes printed, every answer, the
// data directory, and the directory for temporary files. It finds nothing there, and the same search finds what is
// planted in each of these places.
func TestNoSecretGetsOut(t *testing.T) {
	c := newWatch(t)
	c.issue()
	c.refuse()
	c.introspect()
	c.distrust()
	c.people()
	c.browsers()
	c.glass()
	c.assert()
	c.breakRequests()
	c.command()
	c.administer()
	c.halt("signer")
	c.halt("ledger")
	c.crash("house", "ledger")
	c.crash("signer", "ledger")
	c.crash("ledger", "signer")
	c.unseal()
	c.search("while it runs")
	c.stop()
	c.search("after it ended")
	c.plant()
}

// watch is a seawall whose every word is kept, and the secrets that were given to it.
type watch struct {
	t         *testing.T
	s         *testenv.Seawall
	w         *world
	authority *authority
	temporary string // TMPDIR of every process
	keys      *ecdsa.PrivateKey
	keyed     string // id of the client with these keys
	poster    client
	owner     *person // once there is one
	secrets   []canary.Secret
	heard     []heard
	mu        sync.Mutex // guards secrets and heard
}

// heard is something that came out.
type heard struct {
	where string
	text  []byte
	typed []string // names of secrets that whoever hears it has just typed
}

func newWatch(t *testing.T) *watch {
	c := &watch{t: t, authority: newAuthority(t, 0), temporary: testenv.Dir(t, 0)}
	if err := os.Chmod(c.temporary, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	c.s = testenv.Start(t, testenv.Options{Binary: program, Env: []string{"TMPDIR=" + c.temporary}, Listen: strings.Replace(testenv.FreeAddress(t), "127.0.0.1", "localhost", 1),
		Args: []string{"--tls-cert", c.authority.certFile, "--tls-key", c.authority.key}})
	c.privateKey("key of the certificate", c.authority.key)
	c.w = &world{audience: "https://api.acme.example", http: c.authority.client(t)}
	c.create(&c.w.tenant, "tenant", "create", "acme", "--class", "production", "--owner", "ops@acme.example", "--contact", "a@acme.example", "--contact", "b@acme.example")
	c.create(&c.w.api, "api", "create", c.w.audience, "--tenant", "acme", "--scope", "read", "--scope", "write")
	c.create(&c.w.client, "client", "create", "ci", "--tenant", "acme", "--api", c.w.audience, "--scope", "read")
	c.create(&c.poster, "client", "create", "poster", "--tenant", "acme", "--api", c.w.audience, "--scope", "read", "--auth", "client_secret_post")
	keyed := newKeyClient(t, c.s, c.w)
	scalar, err := base64.RawURLEncoding.DecodeString(keyed.private["d"])
	if err != nil {
		t.Fatal(err)
	}
	if c.keys, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar); err != nil {
		t.Fatal(err)
	}
	c.keyed = keyed.ID
	c.know(canary.Secret{Name: "private key of a client", Value: scalar, Number: true})
	return c
}

// know adds secrets to those that nothing may show.
func (c *watch) know(secrets ...canary.Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secrets = append(c.secrets, secrets...)
}

// hear keeps what came out. Where it says something secret by right, that is cut out of it.
func (c *watch) hear(where string, text []byte, byRight ...string) {
	c.keep(heard{where: where, text: without(text, byRight...)})
}

func (c *watch) keep(h heard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = append(c.heard, h)
}

// without cuts words out of a text.
func without(text []byte, words ...string) []byte {
	for _, one := range words {
		if one != "" {
			text = bytes.ReplaceAll(text, []byte(one), []byte("(cut)"))
		}
	}
	return text
}

// likely makes a new secret that looks like one of ours.
func (c *watch) likely(name string) string {
	text := "swc_prod_" + (rand.Text() + rand.Text())[:39]
	c.know(canary.Text("likely secret: "+name, text))
	return text
}

// awkward makes a new secret that looks like nothing and that every escape changes.
func (c *watch) awkward(name string) string {
	r := rand.Text()
	text := r[:8] + ` "<é>` + r[8:13] + `%&+=` + r[13:18] + `/\'; ` + r[18:]
	c.know(canary.Text("awkward secret: "+name, text))
	return text
}

func (c *watch) knowToken(name, compact string) {
	list, err := canary.Token(name, compact)
	if err != nil {
		c.t.Fatal(err)
	}
	c.know(list...)
}

// privateKey reads a PEM file.
func (c *watch) privateKey(name, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		c.t.Fatalf("%s is not PEM", path)
	}
	list, err := canary.PKCS8(name, block.Bytes)
	if err != nil {
		c.t.Fatal(err)
	}
	c.know(list...)
}

// run runs a command, keeps what it says, and returns its exit status and standard output.
func (c *watch) run(input string, byRight func(stdout []byte) []string, args ...string) (int, string) {
	c.t.Helper()
	cmd := c.s.Command(args...)
	cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+c.authority.rootsFile, "TMPDIR="+c.temporary)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	name := "seawall " + strings.Join(args[:min(2, len(args))], " ")
	var cut []string
	if byRight != nil {
		cut = byRight(stdout.Bytes())
	}
	c.hear("standard output of "+name, stdout.Bytes(), cut...)
	c.hear("standard error of "+name, stderr.Bytes())
	return cmd.ProcessState.ExitCode(), stdout.String() + stderr.String()
}

// create runs a command that prints a new secret, which must succeed.
func (c *watch) create(into any, args ...string) {
	c.t.Helper()
	status, out := c.run("", func(stdout []byte) []string {
		if err := json.Unmarshal(stdout, into); err != nil {
			c.t.Fatalf("seawall %s: %v: %s", strings.Join(args, " "), err, stdout)
		}
		var shown struct {
			API    string `json:"api_secret"`
			Client string `json:"client_secret"`
		}
		if err := json.Unmarshal(stdout, &shown); err != nil {
			c.t.Fatal(err)
		}
		for _, secret := range []string{shown.API, shown.Client} {
			if secret != "" {
				c.know(canary.Text("secret of "+args[0]+" "+args[2], secret))
			}
		}
		return []string{shown.API, shown.Client}
	}, append(args, "--json")...)
	if status != 0 {
		c.t.Fatalf("seawall %s: status %d: %s", strings.Join(args, " "), status, out)
	}
}

// unseal opens what the vaults keep, with the keys that are beside it, so that the search knows it.
func (c *watch) unseal() {
	signer := c.sealer("signer")
	rings, err := filepath.Glob(filepath.Join(c.s.Data, "signer/keys/*/ring.json"))
	if err != nil || len(rings) == 0 {
		c.t.Fatalf("there are no rings: %v", err)
	}
	opened := 0
	for _, path := range rings {
		var ring struct {
			Keys []mint.Key `json:"keys"`
		}
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &ring)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		for _, k := range ring.Keys {
			if k.VerifyOnlyAt != 0 { // it was distrusted and given back
				if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), k.KID+".*")); err != nil || len(left) > 0 {
					c.t.Errorf("of a key that signs no more there is %v, %v", left, err)
				}
				continue
			}
			sealed, err := os.ReadFile(filepath.Join(filepath.Dir(path), fmt.Sprintf("%s.%d.sealed", k.KID, k.Epoch)))
			if err != nil {
				c.t.Fatal(err)
			}
			plain, err := signer.Open(nil, sealed[1:13], sealed[13:], bindingOf(&k))
			if err != nil {
				c.t.Fatalf("%s: %v", path, err)
			}
			list, err := canary.PKCS8("issuer key "+k.KID, plain)
			if err != nil {
				c.t.Fatal(err)
			}
			c.know(list...)
			opened++
		}
	}
	if opened == 0 {
		c.t.Fatal("no issuer key was unsealed")
	}
	ledger := c.sealer("ledger")
	c.know(canary.Secret{Name: "root of the ledger", Value: c.unsealLedger(ledger, "root.sealed"), Number: true})
	var receipts []struct {
		Seed []byte `json:"seed"`
	}
	if err := json.Unmarshal(c.unsealLedger(ledger, "receipts.sealed"), &receipts); err != nil || len(receipts) == 0 {
		c.t.Fatalf("%d receipt keys: %v", len(receipts), err)
	}
	for _, r := range receipts {
		c.know(canary.Secret{Name: "receipt key", Value: r.Seed, Number: true})
	}
}

// sealer reads a vault's key-encryption key.
func (c *watch) sealer(part string) cipher.AEAD {
	kek, err := os.ReadFile(filepath.Join(c.s.Data, part, "kek"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.know(canary.Secret{Name: "key-encryption key of the " + part, Value: kek, Number: true})
	block, err := aes.NewCipher(kek)
	if err != nil {
		c.t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		c.t.Fatal(err)
	}
	return aead
}

// bindingOf is what an issuer key is sealed with (internal/keystore).
func bindingOf(k *mint.Key) []byte {
	b := []byte("seawall-sealed-key-v1\x00")
	for _, text := range []string{k.Tenant, k.Issuer, k.KID, string(k.Family), k.Alg} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(text)))
		b = append(b, text...)
	}
	for _, number := range []uint64{uint64(k.NotBefore), uint64(k.SigningEnds), uint64(k.Expires), k.Epoch} {
		b = binary.BigEndian.AppendUint64(b, number)
	}
	return b
}

// unsealLedger opens a file of the ledger (internal/ledger/seal.go).
func (c *watch) unsealLedger(aead cipher.AEAD, name string) []byte {
	const magic = "seawall-sealed\n\x01"
	text, err := os.ReadFile(filepath.Join(c.s.Data, "ledger", name))
	if err != nil || !bytes.HasPrefix(text, []byte(magic)) {
		c.t.Fatalf("%s: %v", name, err)
	}
	text = text[len(magic):]
	plain, err := aead.Open(nil, text[:12], text[12:], []byte(magic+"ledger/"+name))
	if err != nil {
		c.t.Fatalf("%s: %v", name, err)
	}
	return plain
}

// set is all secrets, and what any secret looks like.
func (c *watch) set(more ...canary.Secret) *canary.Set {
	set, err := canary.New(slices.Concat(c.secrets, canary.Marks(), more)...)
	if err != nil {
		c.t.Fatal(err)
	}
	return set
}

// search looks everywhere.
func (c *watch) search(when string) {
	set := c.set()
	var found []canary.Finding
	add := func(list []canary.Finding, err error) {
		if err != nil {
			c.t.Fatalf("%s: %v", when, err)
		}
		found = append(found, list...)
	}
	for _, h := range c.heard {
		list, err := set.Bytes(h.where, h.text)
		add(slices.DeleteFunc(list, func(f canary.Finding) bool { return slices.Contains(h.typed, f.Secret) }), err)
	}
	add(set.Bytes("output of seawall up", []byte(c.s.Output())))
	add(set.Dir(c.s.Data))
	add(set.Dir(c.temporary))
	for path := range c.commandLines() {
		add(set.File(path))
	}
	// The vaults' own keys and the house's pepper are where they belong, which also shows that the search sees them.
	for file, name := range map[string]string{"signer/kek": "key-encryption key of the signer", "ledger/kek": "key-encryption key of the ledger", "house/pepper": "pepper"} {
		path := filepath.Join(c.s.Data, file)
		here := func(f canary.Finding) bool {
			return f.Where == path && f.Secret == name && f.Form == "raw" && f.Offset == 0
		}
		if !slices.ContainsFunc(found, here) {
			c.t.Errorf("%s, the search does not see %s", when, path)
		}
		found = slices.DeleteFunc(found, here)
	}
	told := map[string]int{}
	for _, f := range found {
		if told[f.Where]++; told[f.Where] <= 5 { // tokens have much in common, so where one is, others seem to be too
			c.t.Errorf("%s, a secret got out: %v", when, f)
		}
	}
	c.t.Logf("%s: %d secrets, %d texts, %d findings", when, len(c.secrets), len(c.heard), len(found))
}

// commandLines lists the files in which the kernel shows the processes' arguments to everybody.
func (c *watch) commandLines() map[string]bool {
	paths := map[string]bool{}
	if !testenv.Alive(c.s.PID()) {
		return paths
	}
	for _, pid := range append(c.s.Children(), c.s.PID()) {
		paths[fmt.Sprintf("/proc/%d/cmdline", pid)] = true
	}
	return paths
}

// plant puts a leak of its own into each place that was searched, and looks whether the search finds it. The places are
// copies, in the state in which seawall left them.
func (c *watch) plant() {
	dir := testenv.Dir(c.t, 0)
	copyTree(c.t, c.s.Data, dir+"/data")
	copyTree(c.t, c.temporary, dir+"/tmp")
	data := dir + "/data"
	planted := map[string]string{} // name of the secret: beginning of where it must be found
	var more []canary.Secret
	secret := func(name, where string) string {
		text := "swc_prod_" + (rand.Text() + rand.Text())[:39]
		planted[name], more = where, append(more, canary.Text(name, text))
		return text
	}
	put := func(path string, text []byte) {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err == nil {
			_, err = f.Write(text)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}

	// Texts: the log on standard error, an answer's header, a page, a command's output.
	var line bytes.Buffer
	slog.New(slog.NewJSONHandler(&line, nil)).Error("request failed", "form", map[string]string{"client_secret": secret("in a log line", "output")})
	output := c.s.Output() + line.String() + fmt.Sprintf("panic: %v\n", []byte(secret("in a panic", "output")))
	header := http.Header{"Www-Authenticate": {"Basic " + base64.StdEncoding.EncodeToString([]byte("ci:"+secret("in a header", "answer")))}}
	var answer bytes.Buffer
	if err := header.Write(&answer); err != nil {
		c.t.Fatal(err)
	}

	hidden := c.awkward("in a page")
	planted["awkward secret: in a page"] = "page"
	var page bytes.Buffer
	if err := template.Must(template.New("").Parse(`<input name="name" value="{{.}}">`)).Execute(&page, hidden); err != nil {
		c.t.Fatal(err)
	}

	// Files: temporary, rotated and packed, a segment, the remembered keys, a name.
	put(dir+"/tmp/sort-1", fmt.Appendf(nil, "%x", secret("in a temporary file", dir+"/tmp/sort-1")))
	put(data+"/house/house.log.1.gz", gzipped(c.t, output+secret("in a packed log", data+"/house/house.log.1.gz, unpacked")))
	segment := segments(c.t, data)[0]
	put(segment, []byte("SWB1\x00\x00\x00\x07"+secret("in a segment", segment)+"\x00\x01\x02"))
	put(data+"/house/keys.json", []byte(`{"d":"`+base64.RawURLEncoding.EncodeToString([]byte(secret("in the remembered keys", data+"/house/keys.json")))+`"}`))
	put(data+"/"+secret("in a name", "the name "+data), nil)

	// Database: a row in the write-ahead log alone, and one that was deleted, which leaves its page as it was.
	path := data + "/house/seawall.db"
	db, err := sql.Open("sqlite", path)
	if err != nil {
		c.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	deleted := secret("in a deleted row", path)
	for _, statement := range []string{
		`pragma journal_mode = wal`, `create table planted (text text)`, `insert into planted values ('` + deleted + `')`, `delete from planted`, `pragma wal_checkpoint(truncate)`,
		`pragma wal_autocheckpoint = 0`, `insert into planted values ('` + secret("in a new row", path+"-wal") + `')`,
	} {
		if _, err := db.Exec(statement); err != nil {
			c.t.Fatalf("%s: %v", statement, err)
		}
	}

	all := c.plantAll(dir, db)
	set := c.set(more...)
	var found []canary.Finding
	for _, scan := range []func() ([]canary.Finding, error){
		func() ([]canary.Finding, error) { return set.Bytes("output", []byte(output)) },
		func() ([]canary.Finding, error) { return set.Bytes("answer", answer.Bytes()) },
		func() ([]canary.Finding, error) { return set.Bytes("page", page.Bytes()) },
		func() ([]canary.Finding, error) { return set.Dir(dir) },
	} {
		list, err := scan()
		if err != nil {
			c.t.Fatal(err)
		}
		found = append(found, list...)
	}
	if err := db.Close(); err != nil {
		c.t.Fatal(err)
	}
	for name, where := range planted {
		if !slices.ContainsFunc(found, func(f canary.Finding) bool { return f.Secret == name && strings.HasPrefix(f.Where, where) }) {
			c.t.Errorf("the secret %s was planted in %s and is not found there", name, where)
		}
	}
	seen := map[[2]string]bool{}
	for _, f := range found {
		where, _, _ := strings.Cut(strings.TrimPrefix(f.Where, dir), ",") // and whether it was unpacked
		seen[[2]string{f.Secret, where}] = true
	}
	for _, one := range c.secrets {
		for _, where := range all {
			if !seen[[2]string{one.Name, where}] {
				c.t.Errorf("%s was planted in %s and is not found there", one.Name, where)
			}
		}
	}
}

// plantAll plants every secret that was given to seawall, of whatever kind, in a file of each kind, in the way in which it would
// get there, and returns where. What is found of one kind of credential in one place need not be found of another elsewhere.
func (c *watch) plantAll(dir string, db *sql.DB) []string {
	var log, page, answer, packed, raw bytes.Buffer
	lines, shown := slog.New(slog.NewJSONHandler(&log, nil)), template.Must(template.New("").Parse("<li title=\"{{.}}\">{{.}}</li>\n"))
	if _, err := db.Exec(`create table all_planted (value blob)`); err != nil {
		c.t.Fatal(err)
	}
	z := gzip.NewWriter(&packed)
	for _, one := range c.secrets {
		said := any(string(one.Value))
		if !utf8.Valid(one.Value) {
			said = one.Value // which each of them prints in a way of its own
		}
		lines.Error("request failed", "cause", said)
		err := errors.Join(shown.Execute(&page, said), http.Header{"X-Cause": {fmt.Sprint(said)}}.Write(&answer))
		if err == nil {
			_, err = z.Write(append(one.Value, '\n'))
		}
		if err == nil {
			_, err = db.Exec(`insert into all_planted values (?)`, one.Value)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		raw.Write(append([]byte{0, 1, 2}, one.Value...))
	}
	if err := z.Close(); err != nil {
		c.t.Fatal(err)
	}
	places := []string{"/data/house/seawall.db-wal"}
	for name, text := range map[string][]byte{"/all.log": log.Bytes(), "/all.html": page.Bytes(), "/all.header": answer.Bytes(), "/tmp/all.gz": packed.Bytes(), "/data/ledger/log/all": raw.Bytes()} {
		if err := os.WriteFile(dir+name, text, 0o600); err != nil {
			c.t.Fatal(err)
		}
		places = append(places, name)
	}
	return places
}

// gzipped compresses a text as whoever rotates logs would.
func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := io.WriteString(z, text)
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
