package client

import (
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// A proof may hold documents of the vendor of several times: those of the time that
// it is judged at count, older and later ones do no harm.
func TestDocumentsOfSeveralTimes(t *testing.T) {
	f := newFleet(t)
	n := f.get(1)
	files := []EndorsementFile{}
	for name, at := range map[string]time.Time{"before": f.now.AddDate(0, -2, 0), "then": f.now, "after": f.now.AddDate(0, 2, 0)} {
		j, err := f.platform.Endorsements(sim.Collateral{At: at})
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, EndorsementFile{name + ".json", j})
	}
	b, err := attestation.ParseBundle(f.bundles[host(1)])
	if err != nil {
		t.Fatal(err)
	}
	check := func(files ...EndorsementFile) error {
		set, err := Endorsements(files)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.client.verifier.Verify(attestation.Input{Bundle: b, Endorsements: set, At: f.now.Add(time.Hour), Registered: n.verified.Registered()})
		return err
	}
	for i := range files { // in whatever order
		if err := check(files[i], files[(i+1)%3], files[(i+2)%3]); err != nil {
			t.Error(err)
		}
	}
	for _, one := range files {
		if err := check(one); (err == nil) != (one.Name == "then.json") {
			t.Errorf("only %s: %v", one.Name, err)
		}
	}
}
