package guard

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// The paths beside CheckPath: on the same listener where a proxy asks, on one of their own in front of a reverse proxy.
const (
	LivePath  = "/livez"  // 200 while the process answers
	ReadyPath = "/readyz" // 200 when the keys and feeds of all issuers are loaded, else 503
	JWKSPath  = "/jwks"   // the key of the assertions
)

// Handler is the door for requests or for questions about them.
func (g *Guard) Handler() http.Handler {
	if g.config.Upstream != nil {
		return g.reverse()
	}
	status := g.Status()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// No ServeMux: it would clean the path that Envoy asks about, and redirect.
		hurry(w, r, headerTime)
		if strings.HasPrefix(r.RequestURI, CheckPath) {
			g.forward(w, r)
			return
		}
		status.ServeHTTP(w, r)
	})
}

// Status answers LivePath, ReadyPath and JWKSPath.
func (g *Guard) Status() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+LivePath, func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "alive\n") })
	mux.HandleFunc("GET "+ReadyPath, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if g.config.Validator.Ready(ctx) != nil {
			say(w, http.StatusServiceUnavailable, "the keys or the feed of an issuer are not loaded\n")
			return
		}
		say(w, http.StatusOK, "ready\n")
	})
	mux.HandleFunc("GET "+JWKSPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = w.Write(g.JWKS())
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hurry(w, r, headerTime)
		mux.ServeHTTP(w, r)
	})
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// Limits of a connection. A proxy keeps idle connections for a minute; ours must live longer, so that it never sends into one
// that is just closing.
const (
	maxHeader  = 32 << 10
	headerTime = 10 * time.Second
	idleTime   = 90 * time.Second
	drainTime  = 10 * time.Second
	writeTime  = 30 * time.Second // for a client to take a piece of an answer
)

// Door is a listener and what answers there.
type Door struct {
	Listener net.Listener
	Handler  http.Handler
	TLS      *tls.Config // nil: plain HTTP
}

// Serve answers at every door until ctx ends, then takes nothing new, finishes what was begun within 10 s, and returns. It
// closes the listeners.
func Serve(ctx context.Context, log *slog.Logger, doors ...Door) error {
	ended := make(chan error, len(doors))
	var servers []*http.Server
	for _, d := range doors {
		s := &http.Server{
			Handler: d.Handler, TLSConfig: d.TLS, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime,
			DisableGeneralOptionsHandler: true, // OPTIONS * is not for us to answer
			ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		}
		servers = append(servers, s)
		go func() {
			if d.TLS != nil {
				ended <- s.ServeTLS(d.Listener, "", "")
				return
			}
			ended <- s.Serve(d.Listener)
		}()
	}
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-ended:
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	for _, s := range servers {
		err := s.Shutdown(drain)
		if errors.Is(err, context.DeadlineExceeded) {
			log.Warn("connections that did not end in time were closed")
			err = s.Close()
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
