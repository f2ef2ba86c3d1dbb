package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"seawall/internal/remote"
	"seawall/internal/server/adminapi"
)

// reach is the way to the seawall that an administrator's command is about: a socket on this machine, or a login.
type reach struct {
	call   *call
	data   func() (string, error)
	chosen func() bool // the data directory was named
	server *string
}

// seawall adds the flags that say which seawall a command is about.
func (f *flags) seawall() *reach {
	r := &reach{call: f.call, data: f.data(), chosen: func() bool { return f.given("data") || os.Getenv("SEAWALL_DATA") != "" }}
	r.server = f.String("server", os.Getenv("SEAWALL_SERVER"), "the base `URL` of a seawall to which `seawall login` was made; SEAWALL_SERVER may stand for it")
	return r
}

// operator returns whom to ask, and the directory if it is one on this machine. A login is taken when it is named, or when no
// seawall runs here; a socket that only reads leaves changes to the login of the same seawall.
func (r *reach) operator() (o *adminapi.Operator, dir string, err error) {
	if *r.server != "" {
		o, err = r.login(*r.server)
		return o, "", err
	}
	if dir, err = r.data(); err != nil {
		return nil, "", err
	}
	house := filepath.Join(dir, houseDir)
	if _, err := os.Lstat(filepath.Join(house, adminapi.Socket)); errors.Is(err, fs.ErrNotExist) && !r.chosen() {
		if o, err := r.login(""); !errors.Is(err, fs.ErrNotExist) {
			return o, "", err
		}
	}
	return adminapi.Dial(house).Or(r.same), dir, nil
}

// login returns whoever is logged in at a base URL, or last.
func (r *reach) login(base string) (*adminapi.Operator, error) {
	dir, err := remote.Dir()
	if err != nil {
		return nil, err
	}
	if base != "" {
		if base, err = remote.ParseBase(base); err != nil {
			return nil, usage(err.Error())
		}
	}
	l, err := remote.Load(dir, base)
	if errors.Is(err, fs.ErrNotExist) && base != "" {
		return nil, hint(fmt.Errorf("nobody is logged in at %s", base), "run `seawall login "+base+"`")
	}
	if err != nil {
		return nil, err
	}
	l.Show = r.call.show("Your last touch is too long ago for a change. To touch your passkey once more, open this in your browser:")
	return adminapi.Over(l.Audience(), l.Transport()), nil
}

// same returns the login at the seawall whose socket only reads, nil if there is none.
func (r *reach) same(ctx context.Context, socket *adminapi.Operator) *adminapi.Operator {
	status, err := socket.Status(ctx)
	if err != nil {
		return nil
	}
	o, err := r.login(status.Base)
	if err != nil {
		return nil
	}
	return o
}

// show tells a person why and where to go, and opens their browser if there is one here.
func (c *call) show(why string) func(address string) {
	return func(address string) {
		fmt.Fprintf(c.err, "%s\n\n  %s\n\n", why, address)
		if name := opener(); name != "" {
			cmd := exec.Command(name, address)
			if cmd.Start() == nil {
				go func() { _ = cmd.Wait() }() // whatever comes of it, the address is on the screen
			}
		}
	}
}

// opener is the program that opens a browser, if somebody sits at a screen.
func opener() string {
	name := ""
	switch {
	case runtime.GOOS == "darwin":
		name = "open"
	case os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "":
		name = "xdg-open"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

func runLogin(ctx context.Context, c *call) error {
	f := newFlags(c, "URL",
		"Logs in to a seawall as an administrator, from any machine: your browser asks for your passkey and comes back here. URL is\nthe base URL, such as https://id.example.com. Commands then take --server URL; the last login is taken where no seawall\nruns, and for changes where its socket only reads. The login is kept in a file that only you can read, together with the\nkey that it is bound to. It ends after 30 days without use, with `seawall logout`, or on your page at …/operators/account.")
	asJSON := f.json()
	words, err := f.parse("URL")
	if err != nil {
		return err
	}
	base, err := remote.ParseBase(words[0])
	if err != nil {
		return usage(err.Error())
	}
	dir, err := remote.Dir()
	if err != nil {
		return err
	}
	l, err := remote.SignIn(ctx, dir, base, c.show("Open this in your browser:"))
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	who, err := adminapi.Over(l.Audience(), l.Transport()).Self(ctx)
	if err != nil {
		return explain(c.name, "", err)
	}
	return c.tell(*asJSON, loginLine{base, who}, "Logged in at %s as %s (%s).\n", base, who.Login, who.Role)
}

// loginLine is who somebody is, and where.
type loginLine struct {
	Server string `json:"server,omitempty"`
	*adminapi.Self
}

func runLogout(ctx context.Context, c *call) error {
	f := newFlags(c, "[URL]", "Ends a login, the last one if URL is left out: the server takes its refresh token back, and its file and key are removed here.")
	words, err := f.parse("[URL]")
	if err != nil {
		return err
	}
	base := ""
	if len(words) == 1 {
		if base, err = remote.ParseBase(words[0]); err != nil {
			return usage(err.Error())
		}
	}
	dir, err := remote.Dir()
	if err != nil {
		return err
	}
	l, err := remote.Load(dir, base)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = fmt.Fprintln(c.out, "Nobody is logged in.")
		return err
	}
	if err != nil {
		return err
	}
	if err := l.End(ctx); err != nil {
		return hint(fmt.Errorf("the login is removed from this machine, and the server may not know yet: %w", err), "end it on your page at "+l.Base+"/operators/account")
	}
	_, err = fmt.Fprintf(c.out, "Logged out of %s.\n", l.Base)
	return err
}

func runWhoami(ctx context.Context, c *call) error {
	f := newFlags(c, "", "Tells who you are to seawall: over the socket of this machine, by your login, or both: where the socket only reads,\nchanges go by your login.")
	to, asJSON := f.seawall(), f.json()
	if _, err := f.parse(); err != nil {
		return err
	}
	var changes *adminapi.Self // as whom, where that is somebody else
	who, err := operate(ctx, to, func(ctx context.Context, o *adminapi.Operator) (*adminapi.Self, error) {
		who, err := o.Self(ctx)
		if err == nil && who.ReadsOnly {
			if other := to.same(ctx, o); other != nil {
				changes, err = other.Self(ctx)
			}
		}
		return who, err
	})
	if err != nil {
		return err
	}
	if *asJSON {
		return writeJSON(c.out, whoLine{who, changes})
	}
	switch {
	case who.Login != "":
		return showSelf(c.out, who)
	case !who.ReadsOnly:
		_, err = fmt.Fprintf(c.out, "%s, over the socket of this machine\n", who.Actor)
		return err
	case changes == nil:
		_, err = fmt.Fprintf(c.out, "%s, over the socket of this machine, which only reads. To change things: seawall login URL\n", who.Actor)
		return err
	}
	fmt.Fprintf(c.out, "%s, over the socket of this machine, which only reads. Changes go by your login:\n", who.Actor)
	return showSelf(c.out, changes)
}

// whoLine is who somebody is, and as whom they change things where the socket only reads.
type whoLine struct {
	*adminapi.Self
	Changes *adminapi.Self `json:"changes,omitempty"`
}

func showSelf(w io.Writer, who *adminapi.Self) error {
	return facts(w, [2]string{"login", who.Login}, [2]string{"name", who.Name}, [2]string{"role", who.Role}, [2]string{"actor", who.Actor},
		[2]string{"last touch", who.Touched.UTC().Format("2006-01-02 15:04 UTC")})
}
