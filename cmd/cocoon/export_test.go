package main

import (
	"fmt"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
)

// TestJoined: what the user gives is in the proof, whatever was kept, which may
// fill it.
func TestJoined(t *testing.T) {
	var kept []client.EndorsementFile
	for i := range receipt.MaxEndorsements {
		kept = append(kept, client.EndorsementFile{Name: fmt.Sprint(i)})
	}
	given := []client.EndorsementFile{{Name: "3", Data: []byte("new")}, {Name: "mine"}}
	got := joined(given, kept)
	if len(got) != receipt.MaxEndorsements || got[0].Name != "3" || string(got[0].Data) != "new" || got[1].Name != "mine" || got[2].Name != "0" || got[5].Name != "4" {
		t.Errorf("%d documents: %v", len(got), got[:6])
	}
	if got := joined(nil, kept); len(got) != len(kept) {
		t.Errorf("%d of %d kept ones", len(got), len(kept))
	}
}
