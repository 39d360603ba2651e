package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// cycle runs one enclave after another.
func (n *node) cycle(ctx context.Context) error {
	backoff := time.Second
	for {
		started := time.Now()
		err := n.mayRegister(ctx)
		if err == nil {
			if err := n.prepare(ctx, false); err != nil {
				return err
			}
			err = n.epoch(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = errors.New("the enclave ended")
		}
		if end := n.lasting(err); end != nil {
			return end
		}
		if time.Since(started) > 10*time.Minute || errors.Is(err, errRenew) {
			backoff = time.Second
		}
		n.Log.Error("the enclave is started again", "err", err, "in", backoff)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, time.Minute)
	}
}

// lasting returns the error to end with when the same again would end the same,
// else nil.
func (n *node) lasting(err error) error {
	var (
		bad     *attestation.InputError
		refused *attestation.RefusedError
		taken   *takenError
		boot    *bootError
	)
	switch {
	case errors.As(err, &boot):
		return boot.lasting(n.served)
	case errors.As(err, &bad), errors.As(err, &refused) && !passing(err), errors.As(err, &taken):
		return err
	}
	return nil
}

// passing says whether a refusal may be over by the next try.
func passing(err error) bool {
	var r *RefusalError
	if !errors.As(err, &r) {
		return false
	}
	switch r.Code {
	case contracts.CodeStaleBlock, contracts.CodePending, contracts.CodeEpoch, contracts.CodeRefused, contracts.CodeNotWelcomed:
		return true
	}
	return false
}

// epoch runs one enclave to its end.
func (n *node) epoch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// What an earlier enclave began is over before the next one looks at the chain.
	n.busy.Lock()
	_, err := n.op.resume(ctx, "")
	n.busy.Unlock()
	if err != nil {
		return err
	}
	proc, err := n.start(ctx)
	if err != nil {
		return err
	}
	defer proc.stop()
	h := relay(proc.url, n.own, n.Log)
	n.relay.Store(&h)
	defer n.relay.Store(nil)

	done := make(chan error, 1)
	go func() { done <- n.operate(ctx, proc) }()
	select {
	case err := <-done:
		return err
	case <-proc.done:
		cancel()
		<-done
		return fmt.Errorf("the enclave ended: %w", proc.err)
	}
}

// operate registers the enclave and then anchors its log.
func (n *node) operate(ctx context.Context, proc *process) error {
	if err := n.prepare(ctx, true); err != nil {
		return err
	}
	rec, err := n.register(ctx, proc)
	if err != nil {
		return err
	}
	if err := proc.await(ctx, "serve", n.Log); err != nil {
		return err
	}
	run := Running{Node: n.op.Node, Relay: rec.Endpoint, Enclave: proc.url.String(), Epoch: rec.Current, PID: os.Getpid(), EnclavePID: proc.cmd.Process.Pid, Simulated: n.Simulated != ""}
	if err := writeJSON(filepath.Join(n.Dir, RunFile), run); err != nil {
		return err
	}
	n.Log.Info("serving", "node", n.op.Node.String(), "epoch", rec.Current, "relay", rec.Endpoint)
	if n.Ready != nil {
		n.Ready(run)
	}
	e, _ := rec.Epoch(rec.Current)
	n.serving.Store(proc)
	defer n.lastHead(proc, e)
	ctx, cancel := context.WithCancelCause(ctx)
	var wait sync.WaitGroup
	defer func() {
		cancel(nil)
		wait.Wait()
	}()
	wait.Go(func() { n.keepHeads(ctx, proc, e) })
	wait.Go(func() { cancel(n.renewal(ctx, e)) })
	wait.Go(func() { cancel(n.watch(ctx, e)) })
	n.anchor(ctx, proc, rec)
	return context.Cause(ctx)
}

// lastHead takes the newest head from an enclave that is about to end: what it
// signed is all that can be anchored until the next one is registered.
func (n *node) lastHead(proc *process, e registry.Epoch) {
	n.serving.Store(nil)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := n.keepHead(ctx, proc, e); err != nil {
		n.Log.Debug("the last head of the log is not stored", "err", err)
	}
}

// errRenew ends an enclave whose registration is about to end.
var errRenew = errors.New("the registration is about to end, and a new boot registers anew")

// renewal waits until it is time for another epoch: an hour before the
// registration ends, or a tenth of it.
func (n *node) renewal(ctx context.Context, e registry.Epoch) error {
	margin := min(time.Hour, e.Expires.Sub(e.RegisteredAt)/10)
	tick := time.NewTicker(renewalInterval)
	defer tick.Stop()
	for e.Expires.IsZero() || time.Until(e.Expires) > margin {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return errRenew
}

// renewalInterval is between two looks at the clock. It is not one long wait:
// clocks are set, and machines sleep.
const renewalInterval = 10 * time.Second
