package client

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// A node on a machine that the registry has revoked gets nothing, not even a
// question for its bundle, though its registration is as good as before; nor does
// a node that was verified before. Other machines go on.
func TestRevokedMachine(t *testing.T) {
	f := newFleet(t)
	sent := 0
	f.gateway = func(*http.Request) (*http.Response, error) { sent++; return nil, errors.New("broken") }
	rec := f.add(1)
	e := rec.Epochs[1]
	e.PlatformID = [32]byte{5}
	rec.Epochs[1] = e
	n := f.know(rec)
	ask := func() error {
		f.client.cfg.Nodes = []attestation.Address{rec.Address}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://cocoon/v1/x", strings.NewReader("secret"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.client.RoundTrip(req)
		return err
	}
	f.root.State.Revoked[[32]byte{6}] = true
	if err := ask(); sent != 1 || err == nil {
		t.Fatalf("another machine is revoked: %d sent, %v", sent, err)
	}

	f.root.State.Revoked[[32]byte{5}] = true
	f.now = f.now.Add(provedFor) // what was proved before is too old now
	asked := f.asked
	var refused *attestation.RefusedError
	for _, err := range []error{ask(), func() error { _, err := f.client.verify(t.Context(), rec, f.root, rec.Endpoint); return err }()} {
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "has revoked the machine of node") {
			t.Errorf("revoked: %v", err)
		}
	}
	if sent != 1 || f.asked != asked {
		t.Errorf("%d requests were sent, and %d questions were asked", sent-1, f.asked-asked)
	}
	p, err := f.client.fetchPapers(t.Context(), n.endpoint) // as VerifyURL does, to learn which node it is
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.client.verifyPapers(t.Context(), rec, f.root, n.endpoint, p); !errors.As(err, &refused) {
		t.Errorf("with its papers: %v", err)
	}
	f.client.root.load = func(context.Context, *registry.Root) (*registry.Root, error) { return f.root, nil }
	trail, err := f.client.checkNode(t.Context(), rec)
	if !errors.As(err, &refused) || trail.Step(StepPolicy).Outcome != attestation.Fail || trail.Step(StepServes).Outcome != attestation.Pass {
		t.Errorf("shown as %+v, %v", trail, err)
	}
}
