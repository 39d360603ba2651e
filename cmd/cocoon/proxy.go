package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var proxyCommand = &command.Command{
	Name: "proxy", Short: "serve the OpenAI API on this machine, through verified nodes",
	Long: "Point any OpenAI client at it: OPENAI_BASE_URL=http://127.0.0.1:8421/v1. No byte of a\n" +
		"request or an answer is added or edited. Receipts are kept. Only requests that name this\n" +
		"machine by a loopback address are served, so no web page can reach it by a name of its own;\n" +
		"--allow-host adds the names of a proxy that listens for others.",
	Example: "cocoon proxy --listen 127.0.0.1:8421",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		s.registerEndorsements(fs)
		listen := fs.String("listen", "127.0.0.1:8421", "`address` to listen on")
		var hosts []string
		fs.Func("allow-host", "`name` or address by which it may be reached beside loopback; may be repeated", func(v string) error {
			v = strings.Trim(v, "[]")
			if err := checkHost(v); err != nil {
				return err
			}
			hosts = append(hosts, v)
			return nil
		})
		receipts := fs.String("receipts", "", "`directory` for receipts (default: receipts/ in the configuration directory)")
		return func(ctx context.Context, env *command.Env) error {
			return proxy(ctx, env, &s, proxyOptions{*listen, *receipts, hosts}, func(url string, simulated bool) error {
				if env.JSON {
					return env.PrintJSON(map[string]any{"base_url": url, "simulated": simulated})
				}
				_, err := fmt.Fprintf(env.Stdout, "OPENAI_BASE_URL=%s\n", url)
				return err
			})
		}
	},
}

type proxyOptions struct {
	listen, receipts string
	hosts            []string // beside those of loopback
}

// checkHost refuses what is no single host.
func checkHost(name string) error {
	if _, err := netip.ParseAddr(name); err == nil {
		return nil
	}
	if u, err := url.Parse("http://" + name + "/"); err != nil || u.Hostname() == "" || u.Port() != "" || u.Path != "/" || strings.ContainsAny(name, "*@/?#") {
		return errors.New("want a name or an address, without port or wildcard")
	}
	return nil
}

// reachable says whether the proxy can be used where it listens, and warns.
func (o *proxyOptions) reachable(env *command.Env, a net.Addr) error {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() {
		return nil
	}
	if len(o.hosts) == 0 && !tcp.IP.IsUnspecified() {
		return attestation.BadInput("nobody could use %s: requests that name another host than loopback are refused; say with --allow-host which name or address clients have in their base URL", a)
	}
	env.Logf("warning: %s is not a loopback address: everybody who reaches it can ask in your name, in the clear", a)
	if len(o.hosts) == 0 {
		env.Logf("warning: only requests to localhost or a loopback address are served; --allow-host NAME allows others")
	}
	return nil
}

// proxy serves until ctx ends. ready is called with the base URL.
func proxy(ctx context.Context, env *command.Env, s *settings, o proxyOptions, ready func(url string, simulated bool) error) error {
	keep, err := newKeeper(o.receipts)
	if err != nil {
		return err
	}
	sess, err := s.connect(ctx, env, func(c *client.Config) {
		c.Keep = func(f *receipt.File, n *client.Node) error {
			_, err := keep.keep(ctx, "", f, n)
			return err
		}
	})
	if err != nil {
		return err
	}
	defer sess.close()
	ln, err := net.Listen("tcp", o.listen)
	if err != nil {
		return attestation.BadInput("%w; name another address with --listen", err)
	}
	defer ln.Close()
	if err := o.reachable(env, ln.Addr()); err != nil {
		return err
	}
	if err := keep.open(); err != nil {
		return err
	}
	warnSimulated(env.Stderr, simulated(sess.policy))
	srv := &http.Server{Handler: sess.Proxy(o.hosts...), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	if err := ready(fmt.Sprintf("http://%s/v1", ln.Addr()), simulated(sess.policy)); err != nil {
		srv.Close()
		<-failed
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		srv.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
