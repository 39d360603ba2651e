package client

import (
	"errors"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// An account that was proved to its reader, and can't be to others, gets into no file:
// a proof without it would read as one of a receipt that was not anchored.
func TestFarAway(t *testing.T) {
	near, far := &chain.Account{Proof: []byte{1}}, &chain.Account{}
	for _, a := range []anchored{{node: far, registry: near}, {node: near, registry: far}} {
		wantFar(t, a.prove(nil, nil, 0))
	}
	for name, r := range map[string]*Record{
		"node": {far: far.Provable()}, "registry": kept(far, nil), "platform": kept(near, far),
	} {
		b, err := r.Encode()
		if wantFar(t, err); b != nil {
			t.Errorf("%s: %d bytes", name, len(b))
		}
	}
}

func wantFar(t *testing.T, err error) {
	t.Helper()
	var unknown *attestation.UnknownError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "renew it") {
		t.Errorf("err %v", err)
	}
}

// kept is a record of accounts that may be far away.
func kept(root, platform *chain.Account) *Record {
	r := &Record{}
	r.keep(root, platform)
	return r
}
