package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// exchangeFigures compares a sealed request of 1 KB, answered with a receipt
// whose leaf is durable, with the same request through a plain reverse proxy to
// the same engine. Rounds of both alternate, and of writes to the same disk: the
// durable leaf is one of them. Clients ask again at once, so with several of
// them the cores are full, and the time of a request is mostly others' work;
// the CPU time says what one costs, client, relay and enclave together.
func exchangeFigures(ctx context.Context, short bool) ([]Figure, error) {
	r, err := newRig(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	plain := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	sealed := &http.Client{Transport: r.client}

	rounds, each := 20, 80
	if short {
		rounds, each = 5, 40
	}
	var out []Figure
	for _, clients := range []int{1, 8} {
		var s, p, d []time.Duration
		var cpu, plainCPU time.Duration
		for round := range rounds + 1 {
			start := r.cpu()
			ps, err := load(ctx, clients, each, func() error { return ask(ctx, plain, r.plain) })
			if err != nil {
				return nil, fmt.Errorf("plain: %w", err)
			}
			middle := r.cpu()
			ss, err := load(ctx, clients, each, func() error { return ask(ctx, sealed, "http://cocoon") })
			if err != nil {
				return nil, fmt.Errorf("sealed: %w", err)
			}
			end := r.cpu()
			ds, err := load(ctx, 1, 5, r.durableWrite)
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first warms caches and connections up
				p, s, d = append(p, ps...), append(s, ss...), append(d, ds...)
				plainCPU, cpu = plainCPU+middle-start, cpu+end-middle
			}
		}
		name := fmt.Sprintf("sealed-exchange-%d-clients", clients)
		out = append(out,
			Figure{Name: name + "-p50", Value: ms(median(s)), Unit: "ms", Baseline: ms(median(p))},
			Figure{Name: name + "-added-p50", Value: ms(median(s) - median(p)), Unit: "ms", Goal: "<= 0.8"},
			Figure{Name: name + "-cpu", Value: ms(cpu / time.Duration(len(s))), Unit: "ms", Baseline: ms(plainCPU / time.Duration(len(p)))},
			Figure{Name: "durable-write-p50", Value: ms(median(d)), Unit: "ms"})
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

// cpu returns the CPU time that this process, plain proxy, relay and enclave have
// used.
func (r *rig) cpu() (total time.Duration) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		own := e.Name() == strconv.Itoa(os.Getpid()) || e.Name() == strconv.Itoa(r.proxy.Process.Pid)
		if err != nil || !own && filepath.Dir(exe) != r.dir {
			continue
		}
		data, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		if f := strings.Fields(rest); len(f) > 12 { // proc(5): utime and stime, in ticks of 10 ms
			user, _ := strconv.ParseInt(f[11], 10, 64)
			system, _ := strconv.ParseInt(f[12], 10, 64)
			total += time.Duration(user+system) * 10 * time.Millisecond
		}
	}
	return total
}

// durableWrite writes a leaf's size to the rig's disk and waits for it.
func (r *rig) durableWrite() error {
	f, err := os.OpenFile(r.file("durable"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 188)); err != nil {
		return err
	}
	return f.Sync()
}
