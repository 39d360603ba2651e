package client

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// A log that its key signed, and that is not the anchored one, is a lie.
func TestForkedLog(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	node := attestation.Address{Hash: [32]byte{1}}
	note, err := (&translog.Checkpoint{Node: node, Size: 3, Root: [32]byte{7}}).SignNote(key)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{http: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(note))}, nil
	})}}
	epoch := registry.Epoch{LogKey: [32]byte(key.Public().(ed25519.PublicKey))}
	for root, good := range map[[32]byte]bool{{7}: true, {8}: false} {
		rec := &registry.Node{Address: node, Endpoint: "http://relay.test", Anchor: registry.Anchor{Size: 3, Root: root}}
		_, err := c.checkLog(t.Context(), rec, epoch)
		var f *attestation.FalseError
		if good != (err == nil) || !good && !errors.As(err, &f) {
			t.Errorf("anchored root %x: %v", root[:1], err)
		}
	}
}
