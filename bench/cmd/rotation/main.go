// Rotation is the floor for refresh tokens: the least work that turns one durably. It is net/http, one form, HTTP Basic,
// one compare-and-swap and one row of an audit trail in SQLite, committed together with whatever else waits, and one
// ES256 signature, all in one process. It isolates nothing, checks no policy and makes one token instead of two.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"seawall/bench/internal/floor"

	_ "modernc.org/sqlite"
)

type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Client   string `json:"client_id"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	ID       string `json:"jti"`
}

type answer struct {
	Token   string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"`
	Refresh string `json:"refresh_token"`
}

// turn is one rotation on its way to the one writer.
type turn struct {
	old, next [32]byte
	done      chan bool
}

func main() {
	path := flag.String("db", "", "the database `file`, which must not exist")
	families := flag.Int("families", 64, "how many families there are; their first tokens are family- and a number of 19 digits, as long as all others")
	flag.Parse()
	turns := make(chan turn, 1024)
	if err := open(*path, *families, turns); err != nil {
		log.Fatal(err)
	}
	log.Fatal(floor.Serve("rotation", "refresh_token", func(w http.ResponseWriter, r *http.Request, i *floor.Issuer, client string) any {
		return refresh(w, r, i, client, turns)
	}))
}

func open(path string, families int, turns <-chan turn) error {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return err
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	for _, statement := range []string{
		`create table family (id integer primary key, current blob not null unique, generation integer not null, used_at integer not null)`,
		`create table audit (id integer primary key, family integer not null, at integer not null)`,
	} {
		if _, err := conn.ExecContext(context.Background(), statement); err != nil {
			return err
		}
	}
	for i := range families {
		sum := sha256.Sum256(fmt.Appendf(nil, "family-%019d", i))
		if _, err := conn.ExecContext(context.Background(), `insert into family (current, generation, used_at) values (?, 1, 0)`, sum[:]); err != nil {
			return err
		}
	}
	w := &writer{conn: conn}
	for query, to := range map[string]**sql.Stmt{
		`begin immediate`: &w.begin, `commit`: &w.commit,
		`update family set current = ?, generation = generation + 1, used_at = ? where current = ? returning id`: &w.swap,
		`insert into audit (family, at) values (?, ?)`:                                                           &w.audit,
	} {
		if *to, err = conn.PrepareContext(context.Background(), query); err != nil {
			return err
		}
	}
	go w.run(turns)
	return nil
}

type writer struct {
	conn                       *sql.Conn
	begin, commit, swap, audit *sql.Stmt
}

// run commits whatever is queued together, without waiting for more.
func (w *writer) run(turns <-chan turn) {
	var batch []turn
	for first := range turns {
		batch = append(batch[:0], first)
		for more := true; more && len(batch) < 256; {
			select {
			case next := <-turns:
				batch = append(batch, next)
			default:
				more = false
			}
		}
		won := make([]bool, len(batch))
		if err := w.together(batch, won); err != nil {
			log.Fatal(err)
		}
		for i, t := range batch {
			t.done <- won[i]
		}
	}
}

func (w *writer) together(batch []turn, won []bool) error {
	if _, err := w.begin.Exec(); err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	for i, t := range batch {
		var id int64
		switch err := w.swap.QueryRow(t.next[:], now, t.old[:]).Scan(&id); err {
		case nil:
		case sql.ErrNoRows:
			continue
		default:
			return err
		}
		if _, err := w.audit.Exec(id, now); err != nil {
			return err
		}
		won[i] = true
	}
	_, err := w.commit.Exec()
	return err
}

// refresh answers one refresh request (RFC 6749 section 6).
func refresh(w http.ResponseWriter, r *http.Request, i *floor.Issuer, client string, turns chan<- turn) any {
	next := rand.Text()
	t := turn{old: sha256.Sum256([]byte(r.PostForm.Get("refresh_token"))), next: sha256.Sum256([]byte(next)), done: make(chan bool, 1)}
	turns <- t
	if !<-t.done {
		floor.Refuse(w, http.StatusBadRequest, "invalid_grant")
		return nil
	}
	now := time.Now().Unix()
	jwt, err := i.Sign(claims{i.URL, "ada", "https://api.bench.example", client, now, now + floor.Lifetime, rand.Text()})
	if err != nil {
		floor.Refuse(w, http.StatusInternalServerError, "server_error")
		return nil
	}
	return answer{jwt, "Bearer", floor.Lifetime, next}
}
