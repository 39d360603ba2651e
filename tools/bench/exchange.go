package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"time"
)

// exchangeFigures compares a sealed request of 1 KB, answered with a receipt
// whose leaf is durable, with the same request through a plain reverse proxy to
// the same engine. Rounds of both alternate.
func exchangeFigures(ctx context.Context, short bool) ([]Figure, error) {
	r, err := newRig(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	engine, err := url.Parse(r.upstream.URL)
	if err != nil {
		return nil, err
	}
	pool := &http.Transport{DialContext: (&net.Dialer{}).DialContext, MaxIdleConnsPerHost: 64}
	plainProxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(engine) }, Transport: pool,
	})
	defer plainProxy.Close()
	plain := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	sealed := &http.Client{Transport: r.client}

	rounds, each := 20, 100
	if short {
		rounds, each = 5, 40
	}
	var out []Figure
	for _, clients := range []int{1, 8} {
		var s, p []time.Duration
		for round := range rounds + 1 {
			ps, err := load(ctx, clients, each, func() error { return ask(ctx, plain, plainProxy.URL) })
			if err != nil {
				return nil, fmt.Errorf("plain: %w", err)
			}
			ss, err := load(ctx, clients, each, func() error { return ask(ctx, sealed, "http://cocoon") })
			if err != nil {
				return nil, fmt.Errorf("sealed: %w", err)
			}
			if round > 0 { // the first warms caches and connections up
				p, s = append(p, ps...), append(s, ss...)
			}
		}
		name := fmt.Sprintf("sealed-exchange-%d-clients", clients)
		out = append(out,
			Figure{Name: name + "-p50", Value: ms(median(s)), Unit: "ms", Baseline: ms(median(p))},
			Figure{Name: name + "-added-p50", Value: ms(median(s) - median(p)), Unit: "ms", Goal: "<= 0.8"})
	}
	return out, nil
}

// load runs a function n times by several clients, and returns how long each
// run took.
func load(ctx context.Context, clients, n int, f func() error) ([]time.Duration, error) {
	took := make([][]time.Duration, clients)
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for range n / clients {
				start := time.Now()
				if errs[c] = f(); errs[c] != nil {
					return
				}
				took[c] = append(took[c], time.Since(start))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.Concat(took...), ctx.Err()
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
