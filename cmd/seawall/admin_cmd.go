package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"seawall/internal/process"
	"seawall/internal/remote"
	"seawall/internal/server/adminapi"
)

// operate runs an administrator's command against the seawall that it is about.
func operate[T any](ctx context.Context, to *reach, act func(context.Context, *adminapi.Operator) (T, error)) (T, error) {
	var none T
	o, dir, err := to.operator()
	if err != nil {
		return none, err
	}
	answer, err := act(ctx, o)
	if errors.Is(err, remote.ErrOver) {
		return none, hint(err, "run `seawall login` again")
	}
	return answer, explain(to.call.name, dir, err)
}

// explain says what an error of the admin API means to the person who typed the command called name.
func explain(name, dir string, err error) error {
	var refused *adminapi.Error
	if !errors.As(err, &refused) {
		return err
	}
	if refused.Code == adminapi.CodeNotRunning {
		nobody := &adminapi.Error{Code: refused.Code, Description: "seawall is not running on " + dir}
		if _, serr := os.Stat(dir); errors.Is(serr, os.ErrNotExist) {
			nobody.Description += ": there is no such directory"
			return hint(nobody, "start it with `seawall up --data "+dir+"`", "or name another directory with --data or SEAWALL_DATA")
		}
		return hint(nobody, "start it with `seawall up --data "+dir+"`")
	}
	if err = fmt.Errorf("%s: %w", name, err); refused.Hint == "" {
		return err
	}
	return hint(err, refused.Hint)
}

// tenant adds the flag that says whose things a command is about.
func (f *flags) tenant() *string {
	f.needs("tenant")
	return f.String("tenant", "", "the `TENANT` it belongs to")
}

// seconds reads a length of time: 10m, 24h, 30d, or a number of seconds.
type seconds int64

func (s *seconds) String() string {
	if *s == 0 {
		return ""
	}
	return (time.Duration(*s) * time.Second).String()
}

func (s *seconds) Set(v string) error {
	if n, err := strconv.ParseInt(v, 10, 32); err == nil && n >= 0 {
		*s = seconds(n)
		return nil
	}
	if days, ok := strings.CutSuffix(v, "d"); ok {
		if n, err := strconv.ParseInt(days, 10, 16); err == nil && n >= 0 {
			*s = seconds(n * 24 * 60 * 60)
			return nil
		}
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d%time.Second != 0 {
		return errors.New("a length of time looks like 10m, 24h, 30d or 600 (seconds)")
	}
	*s = seconds(d / time.Second)
	return nil
}

// agree shows what a command that cannot be undone will do, and wants --yes or the name typed once more.
func agree(c *call, yes bool, name string, preview []string) error {
	for _, line := range preview {
		fmt.Fprintln(c.err, line)
	}
	if yes {
		return nil
	}
	if !process.Terminal(c.in) {
		return hint(fmt.Errorf("%s: nothing was done: it wants to be confirmed", c.name), "add --yes to do it")
	}
	fmt.Fprintf(c.err, "Type %s to go on: ", name)
	typed, err := bufio.NewReader(c.in).ReadString('\n')
	if err != nil {
		fmt.Fprintln(c.err) // the line of the question is still open
	}
	if strings.TrimSpace(typed) != name {
		return fmt.Errorf("%s: nothing was done: that was not %s", c.name, name)
	}
	return nil
}

// keepsake is the file that --save names: shell variables that `. FILE` reads, for nobody but their owner.
type keepsake struct{ file *os.File }

// openKeepsake makes the file before the secret exists, so that a secret is never made that can't be kept. With no path
// there is none.
func openKeepsake(path string) (*keepsake, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, hint(fmt.Errorf("saving to %s: the file exists, and it may hold another secret", path), "choose another name")
	}
	if err != nil {
		return nil, fmt.Errorf("saving: %w", err)
	}
	return &keepsake{file}, nil
}

// drop removes the file of an act that failed.
func (k *keepsake) drop() {
	if k != nil {
		k.file.Close()
		os.Remove(k.file.Name())
	}
}

// write fills the file. The values are ids, URLs and generated secrets: none holds a quote, and one that does is refused.
func (k *keepsake) write(pairs ...string) error {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if strings.ContainsAny(pairs[i+1], "'\n") {
			return fmt.Errorf("saving %s: its value can't be quoted", pairs[i])
		}
		fmt.Fprintf(&b, "%s='%s'\n", pairs[i], pairs[i+1])
	}
	if _, err := k.file.WriteString(b.String()); err != nil {
		return err
	}
	if err := k.file.Sync(); err != nil {
		return err
	}
	return k.file.Close()
}

// onceNote stands under every secret that is shown.
const onceNote = "This is the only time the secret is shown. Seawall keeps just its hash."

// state is the word for enabled or disabled things in tables.
func state(disabled time.Time) string {
	if disabled.IsZero() {
		return "enabled"
	}
	return "disabled since " + disabled.UTC().Format("2006-01-02")
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }
