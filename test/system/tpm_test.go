package system

import (
	"context"
	"fmt"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave"
)

// simTPM is a simulated TPM in an enclave.
type simTPM struct {
	sim   *sim.TPM
	extra func(*[32]byte)
	err   error
}

func (d *simTPM) Evidence(_ context.Context, extraData [32]byte) (*tpm.Evidence, error) {
	if d.extra != nil {
		d.extra(&extraData)
	}
	if d.err != nil {
		return nil, d.err
	}
	return d.sim.Evidence(extraData[:])
}

func (d *simTPM) Close() error { return nil }

// A TPM quotes the claims beside the machine's own evidence. The host may own
// it, so only a policy that says so by name accepts it.
func TestTPM(t *testing.T) {
	t.Parallel()
	w := shared
	v, err := sim.NewTPMVendor(sim.TPMVendorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := v.NewTPM(sim.TPMConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Extend(4, []byte("loader")); err != nil {
		t.Fatal(err)
	}
	const section = "[tpm]\nkind = \"tpm\"\nkey = 0x81010002\npcrs = [4]\ncertificate = 0x01c10002\n"
	node := w.takeNode(t)
	in := func(d *simTPM) func(*enclave.Options) {
		return func(o *enclave.Options) { o.Config, o.TPM = w.configuration(t, node, []byte(section)), d }
	}
	boot := func(change func(*enclave.Options)) error {
		_, err := enclave.Boot(testContext(t), w.options(t, node, t.TempDir(), change))
		return err
	}
	wantError(t, boot(in(&simTPM{sim: m, err: attestation.Unknown("the TPM is locked out")})), unknown, "", "boot stopped at evidence: ", "locked out")
	wantError(t, boot(func(o *enclave.Options) { in(nil)(o); o.TPM = nil }), badInput, "", "TPM")
	wantError(t, boot(func(o *enclave.Options) { o.TPM = &simTPM{sim: m} }), badInput, "", "TPM")

	policy := func(pcr []byte, more string) func(*client.Config) {
		return func(c *client.Config) {
			text := attestation.PolicyTOML(attestation.PolicyOptions{
				SimulatedRoots: [][32]byte{v.RootFingerprint(), w.net.Platform.RootFingerprint()}, Registry: w.net.Registry,
			})
			text = replaceOnce(t, text, "\n[event_log]\n", fmt.Sprintf("%s\npcrs = { 4 = [\"%x\"] }\n\n[event_log]\n", more, pcr))
			p, err := attestation.ParsePolicy([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			c.Policy = p
		}
	}
	const host = "unsafe_host_tpm = true"
	good := m.PCRs[eventlog.SHA256][4]
	r := w.boot(t, node, t.TempDir(), in(&simTPM{sim: m}))
	l := r.newRelay(t)
	r.newUser(t, l, policy(good, host)).mustAsk(t, newSecret())
	secret := newSecret()
	for _, c := range []struct {
		pcr        []byte
		more, says string
		want       family
	}{
		{good, "unsafe_host_tpm = false", "vouches for the TPM", refused},
		{make([]byte, 32), host, "register 4 has an accepted value", refused},
	} {
		_, err := r.newUser(t, l, policy(c.pcr, c.more)).ask(t, secret, false)
		wantError(t, err, c.want, secret, c.says)
	}
	l.heardNothingOf(t, secret)

	// a quote over something else
	node = w.takeNode(t)
	r = w.boot(t, node, t.TempDir(), in(&simTPM{sim: m, extra: func(x *[32]byte) { x[0] ^= 1 }}))
	_, err = r.newUser(t, r.newRelay(t), policy(good, host)).ask(t, secret, false)
	wantError(t, err, isFalse, secret, "another nonce")
}
