package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// UpstreamConfig says what an Upstream fronts. URL, Profile, Models and Probes
// are required.
type UpstreamConfig struct {
	// URL is http://ADDRESS:PORT with a loopback IP address, or unix:/PATH. Names
	// are refused: who resolves them decides where requests go.
	URL     string
	Profile Profile // any but Embedded
	Models  []Model // as the engine names them

	Name    string  // default: the profile
	Version string  // default "unknown"
	Limits  *Limits // default DefaultLimits of the profile and the models
	Probes  []Probe // known answers; see DefaultProbes

	FirstByte time.Duration // until a stream begins: queue and prompt; default 2 minutes
	IdleGap   time.Duration // between two pieces of a stream; default 1 minute
	Whole     time.Duration // for an answer that is not streamed; default 10 minutes
}

// Upstream is an engine that fronts an inference server on the same machine. The
// server gets nothing but the method, the path and the body that Shape made, and
// headers that are the same for every request; what it answers is checked,
// bounded and metered. It must pass SelfTest before it answers requests. After
// anything that may have been a crash of the server, the next request makes it
// pass again; whoever restarts a server that nobody was using calls SelfTest.
type Upstream struct {
	identity Identity
	limits   Limits
	probes   []Probe
	base     string // URL in front of the path
	http     *http.Transport

	firstByte, idleGap, whole time.Duration

	tested atomic.Bool
	once   atomic.Bool   // it has passed before
	retest chan struct{} // one test at a time; holding it guards next
	next   time.Time     // not before then

	life context.Context // ends when the upstream is closed
	stop context.CancelCauseFunc
}

var _ Engine = (*Upstream)(nil)

// NewUpstream checks a configuration. It does not connect.
func NewUpstream(c UpstreamConfig) (*Upstream, error) {
	if !c.Profile.valid() || c.Profile == Embedded {
		return nil, fmt.Errorf("engine: upstream of profile %q: vllm, sglang, trtllm and llamacpp are known", c.Profile)
	}
	network, address, base, err := parseUpstream(c.URL)
	if err != nil {
		return nil, err
	}
	models, err := checkModels(c.Models)
	if err != nil {
		return nil, err
	}
	u := &Upstream{base: base, probes: c.Probes, retest: make(chan struct{}, 1),
		identity:  Identity{Name: c.Name, Version: c.Version, Models: models},
		firstByte: c.FirstByte, idleGap: c.IdleGap, whole: c.Whole}
	if u.identity.Name == "" {
		u.identity.Name = string(c.Profile)
	}
	if u.identity.Version == "" {
		u.identity.Version = "unknown"
	}
	if s := u.identity.String(); len(s) > 128 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, fmt.Errorf("engine: name and version %q: want at most 128 printable ASCII characters", s)
	}
	for _, d := range []struct {
		to       *time.Duration
		fallback time.Duration
	}{{&u.firstByte, 2 * time.Minute}, {&u.idleGap, time.Minute}, {&u.whole, 10 * time.Minute}} {
		if *d.to < 0 {
			return nil, fmt.Errorf("engine: negative time limit %s", *d.to)
		}
		if *d.to == 0 {
			*d.to = d.fallback
		}
	}
	if u.limits, err = upstreamLimits(c, models); err != nil {
		return nil, err
	}
	if err := checkProbes(c.Probes, u.identity); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	u.http = &http.Transport{ // its zero Proxy uses none
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           64, MaxIdleConnsPerHost: 64,
		IdleConnTimeout: 4 * time.Second, // inference servers close after 5
	}
	u.life, u.stop = context.WithCancelCause(context.Background())
	return u, nil
}

// parseUpstream accepts addresses of this machine only.
func parseUpstream(s string) (network, address, base string, err error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if !filepath.IsAbs(path) || filepath.Clean(path) != path || len(path) > 100 {
			return "", "", "", fmt.Errorf("engine: upstream %q: want an absolute path of at most 100 bytes", s)
		}
		return "unix", path, "http://engine", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || u.Opaque != "" {
		return "", "", "", fmt.Errorf("engine: upstream %q: want http://ADDRESS:PORT or unix:/PATH", s)
	}
	ap, err := netip.ParseAddrPort(u.Host)
	if err != nil || !ap.Addr().IsLoopback() || ap.Addr().Zone() != "" || ap.Port() == 0 {
		return "", "", "", fmt.Errorf("engine: upstream %q: want a loopback IP address with a port, such as 127.0.0.1:8000", s)
	}
	return "tcp", ap.String(), "http://" + ap.String(), nil
}

func upstreamLimits(c UpstreamConfig, models []Model) (Limits, error) {
	names := make([]string, len(models))
	for i, m := range models {
		names[i] = m.Name
	}
	l := DefaultLimits(c.Profile, names...)
	if c.Limits != nil {
		l = *c.Limits
	}
	if l.Profile != c.Profile {
		return l, fmt.Errorf("engine: limits of profile %q for an upstream of profile %q", l.Profile, c.Profile)
	}
	for _, name := range l.Models {
		if _, ok := (Identity{Models: models}).Model(name); !ok {
			return l, fmt.Errorf("engine: limits allow model %q, which is not listed", name)
		}
	}
	return l, l.Validate()
}

// Identity implements Engine.
func (u *Upstream) Identity() Identity {
	id := u.identity
	id.Models = append([]Model(nil), id.Models...)
	return id
}

// Limits implements Engine.
func (u *Upstream) Limits() Limits { return u.limits }

// RoundTripper implements Engine.
func (u *Upstream) RoundTripper() http.RoundTripper { return upstreamTransport{u} }

var errUpstreamClosed = errors.New("engine: upstream was closed")

// Close implements Engine: it closes every connection, which stops the server's
// work on them. The server itself is its owner's to stop.
func (u *Upstream) Close() error {
	u.stop(errUpstreamClosed)
	u.http.CloseIdleConnections()
	return nil
}
