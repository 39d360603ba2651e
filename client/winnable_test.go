package client

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// TestRubbishTiles: a relay that serves wrong tiles shows nothing of what the node
// has. Nobody pays the bond of a challenge for that, unless he says so: the node
// would answer with the right ones, and keep half.
func TestRubbishTiles(t *testing.T) {
	c := &Client{http: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(make([]byte, 5*32)))}, nil
	})}}
	rec := &registry.Node{Endpoint: "http://relay.test", Anchor: registry.Anchor{Size: 5, Root: [32]byte{9}}}
	covered := c.Covered(t.Context(), "http://relay.test", rec, &receipt.Receipt{Head: receipt.Head{Index: 2}})
	head := func(size uint64, root byte) *LogHead {
		return &LogHead{SignedHead: contracts.SignedHead{Anchor: contracts.Anchor{Size: size, Root: [32]byte{root}}}}
	}
	for name, shown := range map[string]error{
		"inclusion":   covered,
		"consistency": c.continues(t.Context(), rec, head(3, 1), head(5, 9)),
	} {
		var false_ *attestation.FalseError
		if !errors.As(shown, &false_) {
			t.Errorf("%s: %v: the relay's tiles pass", name, shown)
		}
		if err := winnable(shown, false, "lost"); !errors.Is(err, ErrUnread) {
			t.Errorf("%s: a challenge would be sent: %v", name, err)
		}
		if err := winnable(shown, true, "lost"); err != nil {
			t.Errorf("%s: refused although the log need not be read: %v", name, err)
		}
	}
	for name, won := range map[string]error{"not anchored": ErrNotAnchored, "the log itself": attestation.False("other root")} {
		if err := winnable(won, false, "lost"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if winnable(nil, true, "lost") == nil {
		t.Error("a challenge that would be lost is sent")
	}
}
